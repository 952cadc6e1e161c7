"""docs/conformance.md names for every vector the tests that replay it; they exist, and none is forgotten."""

import re
from pathlib import Path

import pytest
from named_tests import functions_of, named_in

PAGE = (Path(__file__).parent.parent / "docs/conformance.md").read_text(encoding="utf-8")
FILES = (
    "test_dydx_v4.py",
    "test_dydx_v4_deleveraging.py",
    "test_hyperliquid.py",
    "test_gmx_v1.py",
    "test_vault_days.py",
)
VECTOR = re.compile(r"^\| ((?:DY|HL)-\d+|V1\.\d+) ", re.MULTILINE)


def named() -> set[tuple[str, str]]:
    """Tests that the page names, by file."""
    return {one for row in PAGE.splitlines() for one in named_in(row)}


@pytest.mark.parametrize(
    ("venue", "vectors"),
    [
        ("DY", ["DY-1", "DY-2", "DY-3", "DY-4", "DY-6", "DY-7", "DY-9", "DY-12", "DY-13"]),
        ("HL", [f"HL-{k}" for k in range(1, 9)]),
        ("V1", ["V1.1", "V1.3", "V1.4", "V1.7", "V1.8"]),
    ],
)
def test_every_vector_has_a_row(venue, vectors):
    rows = [vector for vector in VECTOR.findall(PAGE) if vector.startswith(venue)]
    assert list(dict.fromkeys(rows)) == vectors


def test_every_row_says_how_it_stands():
    rows = [line.split("|") for line in PAGE.splitlines() if VECTOR.match(line)]
    states = {cells[3].strip() for cells in rows}
    assert states <= {"passed", "passed, derived", "passed, in part", "not applicable"}, states
    for cells in rows:
        assert "not applicable" in cells[3] or "`test_" in cells[4], cells


def test_every_test_that_the_page_names_exists():
    missing = {(file, test) for file, test in named() if test not in functions_of(file)}
    assert not missing


@pytest.mark.parametrize("file", FILES)
def test_the_page_names_every_test_of_a_vector(file):
    of_vectors = {test for test in functions_of(file) if re.match(r"test_(dy|hl|v1)_\d", test)}
    assert of_vectors <= {test for other, test in named() if other == file}
