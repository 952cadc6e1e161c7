"""What all configuration models share: frozen, strict about names, exact, and with errors that name the field."""

import difflib
import json
import tomllib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from underwater.errors import ConfigError


def spelled_out(kind: Any) -> Any:
    """A name alone stands for the model of this `kind` with its defaults."""
    return {"kind": kind} if isinstance(kind, str) else kind


def _outermost(init: Any) -> Any:
    """Tells pydantic that nested models need not go through this `__init__`, so that errors keep their whole path."""
    init.__pydantic_base_init__ = True
    return init


class Config(BaseModel):
    """A frozen piece of configuration. Unknown fields and bad values raise `ConfigError` naming the field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @_outermost
    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(describe(error, fields)) from None

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for name in data:
                if name not in cls.model_fields:
                    raise _unknown_field(name, list(cls.model_fields))
        return data

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """As pydantic's, but errors are those of `from_dict`."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise ConfigError(describe(error, obj)) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """As pydantic's, but errors are those of `from_json`."""
        try:
            return cls.model_validate(json.loads(json_data), **options)
        except json.JSONDecodeError as error:
            raise ConfigError(f"not JSON: {error}") from None

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The model with these fields; nested models are plain mappings.

        Raises:
            ConfigError: a field is unknown, missing or wrong.
        """
        return cls.model_validate(fields)

    def with_(self, **changes: Any) -> Self:
        """A changed copy. Keys are field names; a dot goes into a nested table, a list entry is named by its index.

        Raises:
            ConfigError: a path does not exist or a value is wrong; the message names the field.

        >>> import underwater as uw
        >>> uw.protocols.order_book().with_(**{"keeper.latency": "5s"}).keeper.latency
        5000000000
        """
        fields = self.model_dump()
        for path, value in changes.items():
            plain = value.model_dump() if isinstance(value, BaseModel) else value
            fields = _changed(fields, path.split("."), plain, path)
        return self.from_dict(fields)

    def to_json(self) -> str:
        """JSON text for people: exact numbers as text, durations such as `5s`. Reads back with `from_json`."""
        return json.dumps(self._plain(), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The model of a JSON text.

        Raises:
            ConfigError: the text is not JSON, or a field is wrong.
        """
        return cls.model_validate_json(text)

    def to_toml(self) -> str:
        """TOML text for people: exact numbers as text, durations such as `5s`. Reads back with `from_toml`."""
        return tomli_w.dumps(self._plain())

    @classmethod
    def from_toml(cls, source: str | PathLike[str]) -> Self:
        """The model of a TOML text, or of a file if `source` is a `Path`.

        Raises:
            ConfigError: the text is not TOML, or a field is wrong.
            FileNotFoundError: there is no such file.
        """
        text = source if isinstance(source, str) else Path(source).read_text(encoding="utf-8")
        try:
            return cls.from_dict(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"not TOML: {error}") from None

    def engine_json(self) -> str:
        """The JSON that the engine reads: every field, exact numbers as text, durations in nanoseconds."""
        return json.dumps(self.model_dump())

    def _plain(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


def describe(error: ValidationError, fields: Any) -> str:
    """One line that names each wrong field and what was expected. `fields` is what was validated."""
    return "; ".join(_describe_one(e, fields) for e in error.errors(include_url=False))


def _describe_one(error: ErrorDetails, fields: Any) -> str:
    path = _path(error, fields)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        message = "missing"
    elif kind == "union_tag_invalid":
        key = _discriminator(context)
        message = f"expected {key} to be one of {context['expected_tags']}, got {context['tag']!r}"
    elif kind == "union_tag_not_found":
        key = _discriminator(context)
        message = f"expected a table with a {key}, got {error['input']!r}"
    elif kind in ("model_type", "model_attributes_type"):
        message = f"expected a table of fields, got {error['input']!r}"
    elif error["msg"].startswith("Input should be"):
        message = f"{error['msg'].replace('Input should be', 'expected', 1)}, got {error['input']!r}"
    else:
        message = error["msg"]
    return f"{path}: {message}" if path else message


def _discriminator(context: dict[str, Any]) -> str:
    """The field that tells the members of a union apart: named, or read by a function of that name."""
    return str(context["discriminator"]).strip("'").removesuffix("()").lstrip("_")


def _path(error: ErrorDetails, fields: Any) -> str:
    """The dotted path as the user wrote it: pydantic also lists the kind that a union chose, which is no field."""
    names, here = [], fields
    for at, part in enumerate(error["loc"]):
        absent = error["type"] == "missing" and at == len(error["loc"]) - 1
        if isinstance(here, str | int | float):
            continue
        if part == "[key]" or (isinstance(here, Mapping) and part not in here and not absent):
            continue
        names.append(str(part))
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            here = getattr(here, str(part), None)
    return ".".join(names)


def _unknown_field(name: object, known: list[str]) -> PydanticCustomError:
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known) or 'no fields'}"
    return PydanticCustomError("unknown_field", "unknown field {name}; {hint}", {"name": repr(name), "hint": hint})


def _changed(node: Any, names: list[str], value: Any, path: str) -> Any:
    """A copy of the tree with one value set; an absent table is made, so that `pool.balance` switches the pool on."""
    if not names:
        return value
    name, *rest = names
    if node is None or isinstance(node, Mapping):
        node = node or {}
        return {**node, name: _changed(node.get(name), rest, value, path)}
    if isinstance(node, list | tuple) and name.isdigit() and int(name) < len(node):
        at = int(name)
        return [*node[:at], _changed(node[at], rest, value, path), *node[at + 1 :]]
    raise ConfigError(f"{path}: there is no {name!r} to change")
