"""What a protocol of this package says of itself: what it models and leaves out, and where every value comes from."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from underwater.config import Protocol
from underwater.config.base import Config

Status = Literal["verified", "unverified", "ours"]
"""`verified`: read in the source that is named; `unverified`: said somewhere, but not confirmed for the date, or changed by
governance since; `ours`: a choice of this package, where the venue publishes nothing or the tape decides."""


class Parameter(Config):
    """One value of a protocol, or one table of values."""

    field: str
    """Where it stands: the path of a field of `Protocol`, as `Protocol.with_` takes it."""
    value: str = ""
    """The value, as text."""
    status: Status
    """How well it is known."""
    source: str = ""
    """Where it was read: a key of `sources`, with a place in it."""
    note: str = ""
    """What is to be known of it."""


class Description(Config):
    """A protocol in words, and its values one by one."""

    name: str
    """Name in `underwater protocols list`."""
    title: str
    """Name of the venue."""
    summary: str
    """One sentence."""
    date: str
    """The date, or the state of the venue, that the values describe."""
    models: tuple[str, ...]
    """What the preset models."""
    leaves_out: tuple[str, ...] = ()
    """What the venue does and the preset does not."""
    options: dict[str, str] = Field(default_factory=dict)
    """Arguments of the function that makes it."""
    sources: dict[str, str] = Field(default_factory=dict)
    """What was read, by the keys that parameters name."""
    parameters: tuple[Parameter, ...]
    """Every value that differs from the defaults of `Protocol`."""

    def of(self, protocol: Protocol) -> "Description":
        """The same with the values of a protocol."""
        tree = protocol._plain()
        filled = tuple(p.model_copy(update={"value": text(_at(tree, p.field))}) for p in self.parameters)
        return self.model_copy(update={"parameters": filled})


def unsaid(description: Description, protocol: Protocol) -> list[str]:
    """The fields of a protocol that differ from the defaults and that no parameter covers."""
    said = [p.field for p in description.parameters] + ["name", "description"]
    return [
        path
        for path in _leaves(protocol.model_dump(mode="json", exclude_defaults=True))
        if not any(path == field or path.startswith(field + ".") for field in said)
    ]


def text(value: Any) -> str:
    """A value of a configuration in one line.

    >>> text([{"lower": "0", "rate": "0.0125"}, {"lower": "150000000", "rate": "0.025"}])
    '0.0125 from 0, 0.025 from 150,000,000'
    >>> text({"kind": "flat", "rate": "0.03"})
    'flat: rate 0.03'
    """
    if isinstance(value, Mapping):
        kind = value.get("kind", "")
        fields = {key: inner for key, inner in value.items() if key not in ("kind", "deduction")}
        if set(fields) in ({"tiers"}, {"steps"}):
            return text(next(iter(fields.values())))
        listed = "; ".join(f"{key} {text(inner)}" for key, inner in fields.items() if inner not in ([], {}))
        return f"{kind}: {listed}" if kind and listed else listed or kind or "as by default"
    if isinstance(value, list | tuple):
        if value and all(isinstance(entry, Mapping) and set(entry) >= {"lower", "rate"} for entry in value):
            return ", ".join(f"{entry['rate']} from {text(entry['lower'])}" for entry in value)
        return ", ".join(map(text, value))
    if isinstance(value, str) and value.isdigit() and len(value) > 3:
        return f"{int(value):,}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = tree[name]
    return tree


def _leaves(tree: Mapping[str, Any], above: str = "") -> list[str]:
    paths = []
    for name, value in tree.items():
        path = f"{above}{name}"
        paths += _leaves(value, f"{path}.") if isinstance(value, Mapping) else [path]
    return paths
