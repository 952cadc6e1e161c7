"""The examples of the README and of the docstrings are run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import underwater
from underwater import scenario
from underwater.scenario import Scenario

README = Path(__file__).parent.parent / "README.md"
MODULES = [
    name for _, name, _ in pkgutil.walk_packages(underwater.__path__, "underwater.") if not name.endswith("._core")
]


def run(test: doctest.DocTest) -> None:
    failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    for test in doctest.DocTestFinder().find(importlib.import_module(name)):
        run(test)


def test_readme(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```pycon\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    run(doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "README.md", str(README), 0))


@pytest.mark.parametrize("text", [README.read_text(encoding="utf-8"), scenario.__doc__], ids=["README", "scenario"])
def test_scenarios_can_be_read(text):
    blocks = re.findall(r"^```toml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert [Scenario.from_toml(block).ticks.day for block in blocks] == ["2025-10-10"]


def test_everything_public_is_documented():
    undocumented = [name for name in underwater.__all__ if not getattr(underwater, name).__doc__]
    assert undocumented == []
