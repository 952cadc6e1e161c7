"""Rules of the extension that the compiler does not check."""

import re
from pathlib import Path

import pytest

import underwater as uw

SOURCES = Path(__file__).parent.parent / "rust" / "python" / "src"


def test_every_class_of_the_extension_is_frozen_and_knows_its_module():
    attributes = [
        (path.name, attribute)
        for path in sorted(SOURCES.rglob("*.rs"))
        for attribute in re.findall(r"#\[pyclass\b(.*?)\]", path.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert attributes
    for name, attribute in attributes:
        assert re.search(r"\bfrozen\b", attribute), f"{name}: #[pyclass{attribute}] is not frozen"
        assert 'module = "underwater._core"' in attribute, f"{name}: #[pyclass{attribute}] names no module"


@pytest.mark.parametrize("error", [uw.DataError, uw.ConfigError, uw.BookError, uw.EngineError, uw.MissingFileError])
def test_the_exceptions_are_one_tree(error):
    assert issubclass(error, uw.UnderwaterError)
    assert issubclass(uw.MissingFileError, uw.DataError)
    assert issubclass(uw.MissingFileError, FileNotFoundError)
