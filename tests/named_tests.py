"""Tests that a page of the documentation names."""

import ast
import re
from pathlib import Path


def functions_of(file: str) -> set[str]:
    """The tests of a file beside this one."""
    tree = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def named_in(row: str) -> list[tuple[str, str]]:
    """Files and tests; a name without a file stands in the file named before it."""
    found, file = [], None
    for said, test in re.findall(r"`(?:(test_\w+\.py)::)?(test_\w+)`", row):
        file = said or file
        assert file is not None, row
        found.append((file, test))
    return found
