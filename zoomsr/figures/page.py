"""Rows of pictures on a page: as many beside each other as stay readable, the rest in further lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoomsr.figures.cells import Cell
from zoomsr.figures.layout import GAP, Strip, words_height
from zoomsr.figures.sheet import INSET, Place, Sheet, framed, mark
from zoomsr.figures.style import INK, SMALL, TEXT, wrapped

_PAGE = 9.8  # inches
_EDGE, _HEADING, _BAR = 0.08, 0.32, 0.55


@dataclass(frozen=True)
class Row:
    """The pictures of one area; a name is written along them, where there is one."""

    cells: Sequence[Cell]
    name: str = ""


@dataclass(frozen=True)
class Block:
    """Rows under a heading."""

    heading: str
    rows: Sequence[Row]


def draw(blocks: Sequence[Block], *, most: int, bar: bool, largest: float = 2.0) -> Figure:
    """A page of blocks.

    Args:
        blocks: from top to bottom.
        most: how many columns may stand beside each other.
        bar: whether there are error maps, and so a colour bar.
        largest: width of a column in inches where there are few.
    """
    rows = [row for block in blocks for row in block.rows]
    margin = _EDGE + max(words_height([_name(row.name)]) for row in rows)
    slots = max(sum(cell.span for cell in row.cells) for row in rows)
    columns = math.ceil(slots / math.ceil(slots / most))
    width = min(largest, (_PAGE - margin - _EDGE + GAP) / columns - GAP)
    plans = [(block.heading, list(_strips(block.rows, columns, width))) for block in blocks if block.rows]
    height = sum(bool(heading) * _HEADING + sum(strip.height for strip in strips) for heading, strips in plans)
    sheet = Sheet(margin + columns * (width + GAP) - GAP + _EDGE, height + bar * _BAR + 2 * _EDGE)
    top = _EDGE
    for heading, strips in plans:
        if heading:
            sheet.heading(_EDGE, top + 0.06, heading)
            top += _HEADING
        for strip in strips:
            _draw_strip(sheet, strip, margin, top)
            top += strip.height
    if bar:
        _draw_bar(sheet, top, margin + columns * (width + GAP) - GAP)
    return sheet.figure


def _strips(rows: Sequence[Row], columns: int, width: float) -> Iterator[Strip]:
    """The rows in lines of at most ``columns`` columns; titles that the line above has already are left out."""
    above: list[str] = []
    for row in rows:
        lines: list[list[Cell]] = [[]]
        for cell in row.cells:
            if sum(other.span for other in lines[-1]) + cell.span > columns:
                lines.append([])
            lines[-1].append(cell)
        for number, line in enumerate(lines):
            titles = [cell.title for cell in line]
            yield Strip(line, width, titles != above, row.name if number == 0 else "")
            above = titles


def _draw_strip(sheet: Sheet, strip: Strip, left: float, top: float) -> None:
    if strip.name:
        place = Place(0, top + strip.above, 0, strip.pictures)
        sheet.name(_EDGE / 2, place, _name(strip.name))
    for cell in strip.cells:
        _draw_cell(sheet, strip, cell, Place(left, top + strip.above, strip.cell_width(cell), strip.picture))
        left += strip.cell_width(cell) + GAP


def _draw_cell(sheet: Sheet, strip: Strip, cell: Cell, place: Place) -> None:
    if cell.image is None:
        return
    inset = cell.inset()
    if inset is None:
        place = Place(place.left, place.top, place.width, strip.pictures)
    ax = lowest = sheet.picture(place, cell.image, squares=cell.squares)
    ax.set_title(strip.title(cell), fontsize=TEXT, color=INK, pad=3, parse_math=False)
    if cell.box is not None:
        mark(ax, cell.box, cell.colour)
    if inset is not None:
        below = Place(place.left, place.top + strip.picture + GAP, place.width, strip.inset)
        lowest = sheet.picture(below, inset, squares=cell.squares)
        framed(lowest, INSET)
    _caption(lowest, strip.caption(cell), bold=cell.bold)


def _caption(ax: Axes, text: str, *, bold: bool) -> None:
    weight = "bold" if bold else "normal"
    ax.set_xlabel(text, fontsize=SMALL, fontweight=weight, color=INK, labelpad=2, parse_math=False)


def _draw_bar(sheet: Sheet, top: float, right: float) -> None:
    """At the lower right, below the error maps."""
    width = min(3.2, right - 0.3)
    sheet.error_bar(Place(right - width - 0.15, top + 0.08, width, 0.1))


def _name(text: str) -> str:
    return wrapped(text, 1.0, TEXT)
