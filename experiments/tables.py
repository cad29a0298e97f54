"""Markdown tables from a csv file, by one line that says which rows and columns.

``results.csv where set=Set5 and net!=bicubic; columns net, psnr_y ± psnr_y_sd .2f "PSNR Y (dB)" max`` has a row for
each of the csv. A column has a name and, where wanted, the column of its spread, a format, a heading in quotes, and
``max`` or ``min``, which sets the best in bold.

``results.csv; columns photograph; across net: psnr_y .2f max`` has a row for each photograph and a column for each net;
the best of each row is bold. Values with spaces stand in quotes: ``net="a b"``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.cells import Sheet

Row = dict[str, str]

_OUTSIDE_QUOTES = r'(?=(?:[^"]*"[^"]*")*[^"]*$)'
_FIRST = re.compile(r"(?P<file>\S+\.csv)(?: where (?P<conditions>.+))?")
_CONDITION = re.compile(r'(?P<column>[^\s!="]+)(?P<relation>!?=)(?P<value>[^\s"]+|"[^"]*")')
_COLUMN = re.compile(
    r'(?P<name>[^\s"±:]+)(?: ± (?P<spread>[^\s"]+))?(?: (?P<form>[+,]*\.\d[f%]))?(?: "(?P<heading>[^"]*)")?'
    r"(?: (?P<best>max|min))?"
)
_BEST: dict[str, Callable[..., tuple[int, int]]] = {"max": max, "min": min}


@dataclass(frozen=True)
class Column:
    """A column of the table: its name in the csv, and how it is shown."""

    name: str
    spread: str | None
    form: str | None
    heading: str | None
    best: str | None


def table(line: str, folder: Path) -> str:
    """The table as Markdown, with a newline at its end; files are relative to the folder.

    Raises:
        ValueError: a line beyond the grammar, a column or a file that is not there, or no row left.
    """
    first, *clauses = (" ".join(clause.split()) for clause in _split(line, ";"))
    named = dict(clause.partition(" ")[::2] for clause in clauses)
    if "columns" not in named or named.keys() - {"columns", "across"}:
        raise ValueError(f"table {line.strip()}: after the file come columns, then across, after a semicolon each")
    head = _parsed(_FIRST, first, "FILE.csv where COLUMN=VALUE and ...")
    sheet = Sheet.read(folder / head["file"])
    rows = _chosen(sheet, head["conditions"])
    columns = _columns(named["columns"], sheet)
    if "across" not in named:
        groups = [(column.best, [(number, at) for number in range(len(rows))]) for at, column in enumerate(columns)]
        return _markdown(sheet, columns, rows, groups)
    across, _, fields = named["across"].partition(": ")
    sheet.require(across)
    return _wide(sheet, rows, labels=columns, across=across, fields=_columns(fields, sheet))


def _wide(sheet: Sheet, rows: list[Row], *, labels: list[Column], across: str, fields: list[Column]) -> str:
    """A row for each of the labels, a column for each field and value of ``across``."""
    values = list(dict.fromkeys(row[across] for row in rows))
    columns = list(labels)
    wide: dict[tuple[str, ...], Row] = {}
    for value in values:
        for field in fields:
            heading = f"{value} {field.heading}" if field.heading else value
            spread = field.spread and f"{value}|{field.spread}"
            columns.append(replace(field, name=f"{value}|{field.name}", spread=spread, heading=heading))
    for row in rows:
        key = tuple(row[label.name] for label in labels)
        own = wide.setdefault(key, {column.name: "" for column in columns} | {c.name: row[c.name] for c in labels})
        for name in (name for field in fields for name in (field.name, field.spread) if name):
            if own.get(f"{row[across]}|{name}"):
                raise ValueError(f"{sheet.path.name} has two rows {'/'.join(key)} with {across}={row[across]}")
            own[f"{row[across]}|{name}"] = row[name]
    places = [range(len(labels) + at, len(columns), len(fields)) for at in range(len(fields))]
    groups = [
        (field.best, [(number, at) for at in place])
        for number in range(len(wide))
        for field, place in zip(fields, places, strict=True)
    ]
    return _markdown(sheet, columns, list(wide.values()), groups)


def _markdown(
    sheet: Sheet, columns: list[Column], rows: list[Row], groups: Sequence[tuple[str | None, list[tuple[int, int]]]]
) -> str:
    """The table; in each group the best cells are bold."""
    grid = [[_shown(sheet, column, row) for column in columns] for row in rows]
    for best, group in groups:
        filled = [(row, at) for row, at in group if rows[row][columns[at].name]]
        if best and filled:
            row, at = _BEST[best](filled, key=lambda place: float(rows[place[0]][columns[place[1]].name]))
            shown = grid[row][at]
            for row, at in filled:  # those that look the same are as good
                grid[row][at] = f"**{shown}**" if grid[row][at] == shown else grid[row][at]
    headings = [column.name if column.heading is None else column.heading for column in columns]
    rules = ["---:" if column.form else "---" for column in columns]
    lines = [f"| {' | '.join(cells)} |" for cells in [headings, *grid]]
    lines.insert(1, f"|{'|'.join(rules)}|")
    return "\n".join(lines) + "\n"


def _shown(sheet: Sheet, column: Column, row: Row) -> str:
    """A cell as it is read: text as it is, a number in its format, a dash where there is none."""
    text = row[column.name]
    if not text or column.form is None:
        return text or "-"
    shown = format(sheet.number(text, column.name), column.form)
    if column.spread and row[column.spread]:
        shown += f" ± {sheet.number(row[column.spread], column.spread):{column.form.lstrip('+')}}"
    return shown


def _chosen(sheet: Sheet, conditions: str | None) -> list[Row]:
    rows = sheet.rows
    for condition in _split(conditions, " and ") if conditions else []:
        found = _parsed(_CONDITION, condition, 'COLUMN=VALUE or COLUMN!="A VALUE"')
        column, value, equal = found["column"], found["value"].strip('"'), found["relation"] == "="
        sheet.require(column)
        rows = [row for row in rows if (row[column] == value) == equal]
    if not rows:
        raise ValueError(f"{sheet.path.name} has no row where {conditions}")
    return rows


def _columns(clause: str, sheet: Sheet) -> list[Column]:
    wanted = 'NAME [± NAME] [.2f] ["HEADING"] [max|min]'
    columns = [Column(**_parsed(_COLUMN, text.strip(), wanted).groupdict()) for text in _split(clause, ",(?= )")]
    for name in (name for column in columns for name in (column.name, column.spread) if name):
        sheet.require(name)
    for column in columns:
        if (column.spread or column.best) and not column.form:
            raise ValueError(f"table column {column.name} needs a format, as in {column.name} .2f")
    return columns


def _parsed(pattern: re.Pattern[str], text: str, wanted: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"table: {text} is not {wanted}")
    return match


def _split(text: str, separator: str) -> list[str]:
    return re.split(separator + _OUTSIDE_QUOTES, text)
