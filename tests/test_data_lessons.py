"""docs/data.md names for every lesson that real files taught the tests that hold it; they exist, and no lesson is forgotten."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parent / "docs/data.md").read_text(encoding="utf-8")
LESSONS = (
    "header",
    "Seconds, ms, us, ns",
    "stamp its open or its close",
    "Low <= open <= high",
    "Contracts or base units",
    "minute without a row",
    "stands still",
    "Which clock",
    "repeats the row before",
    "true, True, 1",
)
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE.partition("| question | rule | tests |")[2].partition("\n\n")[0].splitlines()[2:]
]


def functions_of(name: str) -> set[str]:
    tree = ast.parse((HERE / name).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_no_lesson_is_forgotten():
    assert [lesson for lesson in LESSONS if not any(lesson in question for question, *_ in ROWS)] == []


def test_every_lesson_has_its_tests():
    """A name without a file stands in the file named before it."""
    for question, _, tests in ROWS:
        names = re.findall(r"`(?:(test_\w+\.py)::)?(test_\w+)`", tests)
        assert names, question
        file = ""
        for said, test in names:
            file = said or file
            assert test in functions_of(file), (question, file, test)
