"""docs/data.md names for every lesson that real files taught the tests that hold it; they exist, and no lesson is forgotten."""

from pathlib import Path

from named_tests import functions_of, named_in

PAGE = (Path(__file__).parent.parent / "docs/data.md").read_text(encoding="utf-8")
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


def test_no_lesson_is_forgotten():
    assert [lesson for lesson in LESSONS if not any(lesson in question for question, *_ in ROWS)] == []


def test_every_lesson_has_its_tests():
    for question, _, tests in ROWS:
        named = named_in(tests)
        assert named, question
        for file, test in named:
            assert test in functions_of(file), (question, file, test)
