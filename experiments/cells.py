r"""Values from a csv file: cells by their keys, and arithmetic over them.

``{KEY|COLUMN}`` is a cell of the one row whose leading cells, joined by ``/``, equal KEY: ``{Set5/unet|psnr_y}``.
A KEY with a ``*`` stands for several rows, and is an argument of ``min``, ``max``, ``mean`` or ``sd`` (the sample's):
``max({unet/*|psnr_y})``. Beside cells there are numbers, ``+ - * /``, parentheses and ``abs``.
"""

from __future__ import annotations

import ast
import csv
import math
import operator
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_CELL = re.compile(r"\{([^{}|]+)\|([^{}|]+)\}")
_FUNCTIONS: dict[str, Callable[[list[float]], float]] = {
    "min": min,
    "max": max,
    "mean": statistics.fmean,
    "sd": statistics.stdev,
    "abs": lambda values: abs(_single(values)),
}
_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


@dataclass(frozen=True)
class Sheet:
    """A csv file as text.

    Attributes:
        path: the file.
        columns: its header.
        rows: column to cell.
    """

    path: Path
    columns: list[str]
    rows: list[dict[str, str]]

    @staticmethod
    def read(path: Path) -> Sheet:
        """Read it.

        Raises:
            ValueError: no such file, no header, a column twice, or a row with more or fewer cells than the header.
        """
        if not path.is_file():
            raise ValueError(f"there is no {path}")
        try:
            with path.open(newline="", encoding="utf-8") as file:
                header, *rows = list(csv.reader(file)) or [[]]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        if not header or len(set(header)) < len(header):
            raise ValueError(f"{path} needs a first line with a name for each column, all of them different")
        for number, row in enumerate(rows, 2):
            if len(row) != len(header):
                raise ValueError(f"{path}: row {number} has {len(row)} cells, the header has {len(header)}")
        return Sheet(path, header, [dict(zip(header, row, strict=True)) for row in rows])

    def require(self, column: str) -> None:
        """Raise ValueError where there is no such column."""
        if column not in self.columns:
            raise ValueError(f"{self.path.name} has no column {column}: it has {', '.join(self.columns)}")

    def cells(self, key: str, column: str) -> list[str]:
        """The column's cell in every row that the key means: one, or with a ``*`` one or more.

        Raises:
            ValueError: no such column, no such row, or two rows for a key without a ``*``.
        """
        self.require(column)
        pattern = re.compile(re.escape(key).replace(r"\*", ".*"), re.DOTALL)
        found = [row[column] for row in self.rows if any(map(pattern.fullmatch, _prefixes(row)))]
        if not found:
            raise ValueError(f"{self.path.name} has no row {key}")
        if len(found) > 1 and "*" not in key:
            raise ValueError(f"{self.path.name} has {len(found)} rows {key}: name more of their leading cells")
        return found

    def numbers(self, key: str, column: str) -> list[float]:
        """The cells as finite numbers; ValueError where one is not."""
        return [self.number(cell, f"{{{key}|{column}}}") for cell in self.cells(key, column)]

    def number(self, cell: str, place: str) -> float:
        """The cell as a finite number; ValueError, with its place, where it is none."""
        value = _as_number(cell)
        if value is None:
            raise ValueError(f"{place} of {self.path.name} is {cell or 'empty'}, not a number")
        return value


def evaluate(expression: str, sheet: Sheet) -> float | str:
    """The value of an expression; of a single cell that holds no number, its text.

    Raises:
        ValueError: a cell that cannot be found, or anything beyond the grammar above.
    """
    only = _CELL.fullmatch(expression)
    if only and "*" not in only[1]:
        (text,) = sheet.cells(only[1], only[2])
        value = _as_number(text)
        return text if value is None else value
    if not _CELL.search(expression):
        raise ValueError(f"{expression or 'an empty formula'} has no {{KEY|COLUMN}}: a number comes from its csv")
    cells: dict[str, list[float]] = {}

    def named(match: re.Match[str]) -> str:
        name = f"_cell{len(cells)}"
        cells[name] = sheet.numbers(match[1], match[2])
        return name

    try:
        return _single(_walk(ast.parse(_CELL.sub(named, expression).strip(), mode="eval").body, cells))
    except SyntaxError:
        raise ValueError(f"{expression} is no formula: {{KEY|COLUMN}}, numbers and + - * /") from None
    except (ZeroDivisionError, statistics.StatisticsError) as error:
        raise ValueError(f"{expression} cannot be computed: {error}") from None


def _walk(node: ast.expr, cells: dict[str, list[float]]) -> list[float]:
    """The node's value, several where it is a cell with a ``*``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return [float(node.value)]
    if isinstance(node, ast.Name) and node.id in cells:
        return cells[node.id]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return [_OPERATORS[type(node.op)](_single(_walk(node.operand, cells)))]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return [_OPERATORS[type(node.op)](_single(_walk(node.left, cells)), _single(_walk(node.right, cells)))]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = _FUNCTIONS.get(node.func.id)
        if function and node.args:
            return [function([value for argument in node.args for value in _walk(argument, cells)])]
    raise ValueError(f"{ast.unparse(node)} in a formula: there are cells, numbers, + - * / and {', '.join(_FUNCTIONS)}")


def _single(values: list[float]) -> float:
    if len(values) != 1:
        raise ValueError(f"{len(values)} values where one is needed: put them into min, max, mean or sd")
    return values[0]


def _as_number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _prefixes(row: dict[str, str]) -> Iterator[str]:
    """Set5, Set5/unet, Set5/unet/33.1 ..."""
    cells = list(row.values())
    return ("/".join(cells[:count]) for count in range(1, len(cells) + 1))
