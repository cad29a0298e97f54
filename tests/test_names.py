"""The size and the names of the package: one name, one meaning; functions and files that fit on a screen."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "zoomsr"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FUNCTION, MAX_FILE = 50, 300

# A degradation and a net, as everywhere in the field.
TWICE = {"Bicubic"}


def _label(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _types(tree: ast.Module) -> Iterator[str]:
    """Public classes, and capitalised names that stand for a type: ``Image = NDArray[...]``."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign) and isinstance(
            node.value, (ast.Subscript, ast.BinOp, ast.Name, ast.Attribute)
        ):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _is_type_name(name: str) -> bool:
    return name[0].isupper() and not name.isupper()


def test_a_public_type_name_has_one_meaning() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        for name in _types(ast.parse(path.read_text(encoding="utf-8"))):
            if _is_type_name(name):
                places[name].append(_label(path))
    assert len(places) > 100
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert twice.keys() <= TWICE, twice


@pytest.mark.parametrize("path", FILES, ids=_label)
def test_functions_and_files_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION, node.name
