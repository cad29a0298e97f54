"""Rows of pictures on a page, placed in inches: panels are equally large in every figure, and the rest goes below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from zoomsr.figures.data import ERROR_RANGE
from zoomsr.figures.style import GREY, INK, ORANGE, SKY, SMALL, TEXT, dress_bar, wrapped

_PAGE, _EDGE, _GAP, _LINE, _HEADING, _BAR = 9.8, 0.08, 0.08, 0.14, 0.32, 0.55  # inches
_FINE = 160
"""Pixels in an inch from which on neighbours may fall together on a page of low resolution."""
_CROP, _INSET = ORANGE, SKY
_ERRORS = "magma"


@dataclass(frozen=True)
class PageCell:
    """One picture of a page.

    Attributes:
        title: above it.
        image: (H, W, 3) on [0, 1], (H, W) for an error map, or None for an empty cell.
        caption: below it.
        box: left, top, width, height in its pixels, framed.
        is_magnified: the box is also shown by itself, below the picture.
        is_bold: the caption is.
        is_input: its pixels are shown as squares.
        span: in columns.
    """

    title: str
    image: NDArray[np.float32] | None
    caption: str = ""
    box: tuple[int, int, int, int] | None = None
    is_magnified: bool = False
    is_bold: bool = False
    is_input: bool = False
    span: int = 1

    def inset(self) -> NDArray[np.float32] | None:
        """The pixels in the box, where they are shown by themselves."""
        if self.image is None or self.box is None or not self.is_magnified:
            return None
        left, top, width, height = self.box
        return self.image[top : top + height, left : left + width]


@dataclass(frozen=True)
class PageRow:
    """The pictures of one crop, with a name along them and a heading above, where there is one."""

    cells: Sequence[PageCell]
    name: str = ""
    heading: str = ""


class _Line:
    """Cells beside each other: their texts in lines that fit, and the heights of the parts in inches."""

    def __init__(self, row: PageRow, width: float, *, titled: bool) -> None:
        self.row = row
        self.widths = [cell.span * width + (cell.span - 1) * _GAP for cell in row.cells]
        cells = list(zip(row.cells, self.widths, strict=True))
        self.titles = [wrapped(cell.title, wide, TEXT) if titled else "" for cell, wide in cells]
        self.captions = [wrapped(cell.caption, wide, SMALL, bold=cell.is_bold) for cell, wide in cells]
        shapes = [cell.image.shape for cell in row.cells if cell.image is not None and cell.span == 1]
        insets = [inset.shape for cell in row.cells if (inset := cell.inset()) is not None]
        self.picture = width * min(1.3, max((high / wide for high, wide, *_ in shapes), default=1.0))
        self.inset = width * max((high / wide for high, wide, *_ in insets), default=0.0)
        self.pictures = self.picture + (self.inset + _GAP if self.inset else 0)
        self.above = bool(row.heading) * _HEADING + _height(self.titles)
        self.height = self.above + self.pictures + _height(self.captions) + _GAP


def draw(rows: Sequence[PageRow], *, most: int, largest: float = 2.0) -> Figure:
    """A page of rows, and a colour bar where there are error maps.

    Args:
        rows: from top to bottom.
        most: how many columns may stand beside each other; longer rows continue in a further line.
        largest: width of a column in inches where there are few.
    """
    margin = _EDGE + max(_height([_name(row)]) for row in rows)
    slots = max(sum(cell.span for cell in row.cells) for row in rows)
    columns = math.ceil(slots / math.ceil(slots / most))
    width = min(largest, (_PAGE - margin - _EDGE + _GAP) / columns - _GAP)
    right = margin + columns * (width + _GAP) - _GAP
    lines = list(_lines(rows, columns, width))
    has_errors = any(cell.image is not None and cell.image.ndim == 2 for row in rows for cell in row.cells)
    height = sum(line.height for line in lines) + has_errors * _BAR + 2 * _EDGE
    figure = Figure(figsize=(right + _EDGE, height), facecolor="white", edgecolor="white")
    top = _EDGE
    for line in lines:
        _draw_line(figure, line, margin, top)
        top += line.height
    if has_errors:
        wide = min(3.2, right - 0.3)
        bar = figure.colorbar(
            ScalarMappable(Normalize(0, ERROR_RANGE), _ERRORS),
            cax=_axes(figure, right - wide - 0.15, top + 0.08, wide, 0.1),
            orientation="horizontal",
            extend="max",
            ticks=np.linspace(0, ERROR_RANGE, 5),
        )
        dress_bar(bar, "absolute error, mean of R, G and B, on [0, 1]", SMALL)
    return figure


def _lines(rows: Sequence[PageRow], columns: int, width: float) -> Iterator[_Line]:
    """The rows in lines of at most ``columns`` columns; titles that the line above has already are left out."""
    above: list[str] = []
    for row in rows:
        if row.heading:
            above = []
        parts: list[list[PageCell]] = [[]]
        for cell in row.cells:
            if sum(other.span for other in parts[-1]) + cell.span > columns:
                parts.append([])
            parts[-1].append(cell)
        for number, cells in enumerate(parts):
            titles = [cell.title for cell in cells]
            part = PageRow(cells) if number else PageRow(cells, row.name, row.heading)
            yield _Line(part, width, titled=titles != above)
            above = titles


def _draw_line(figure: Figure, line: _Line, left: float, top: float) -> None:
    width, height = figure.get_size_inches()
    if line.row.heading:
        x, y = _EDGE / width, 1 - (top + 0.06) / height
        figure.text(x, y, line.row.heading, va="top", fontsize=TEXT + 1, fontweight="bold", color=INK)
    top += line.above
    if line.row.name:
        x, y = _EDGE / 2 / width, 1 - (top + line.pictures / 2) / height
        name = figure.text(x, y, _name(line.row), rotation=90, ha="left", va="center", fontsize=TEXT, color=INK)
        name.set(multialignment="center", parse_math=False)
    for cell, wide, title, caption in zip(line.row.cells, line.widths, line.titles, line.captions, strict=True):
        inset = cell.inset()
        high = line.pictures if inset is None else line.picture
        if cell.image is not None:
            ax = lowest = _picture(_axes(figure, left, top, wide, high), cell.image, is_input=cell.is_input)
            ax.set_title(title, fontsize=TEXT, color=INK, pad=3, parse_math=False)
            if cell.box is not None:
                _frame(ax, cell.box, _INSET if cell.is_magnified else _CROP)
            if inset is not None:
                lowest = _axes(figure, left, top + high + _GAP, wide, line.inset)
                _picture(lowest, inset, is_input=cell.is_input)
                lowest.spines[:].set(color=_INSET, linewidth=1.6)
            weight = "bold" if cell.is_bold else "normal"
            lowest.set_xlabel(caption, fontsize=SMALL, fontweight=weight, color=INK, labelpad=2, parse_math=False)
        left += wide + _GAP


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes that fill a rectangle, in inches from the upper left corner of the page."""
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, (down - top - height) / down, width / across, height / down))


def _picture(ax: Axes, image: NDArray[np.float32], *, is_input: bool) -> Axes:
    """The picture hangs from the upper edge of its axes."""
    width = ax.bbox.width / ax.figure.dpi
    # Antialiased: no moire where the picture is finer than the page, and squares where it is much coarser.
    interpolation = "nearest" if is_input and image.shape[1] < _FINE * width else "antialiased"
    if image.ndim == 2:
        ax.imshow(image, vmin=0, vmax=ERROR_RANGE, cmap=_ERRORS, interpolation=interpolation)
    else:
        ax.imshow(np.clip(image, 0, 1), vmin=0, vmax=1, interpolation=interpolation)
    ax.set(xticks=[], yticks=[], anchor="N")
    ax.spines[:].set(color=GREY, linewidth=0.6)
    return ax


def _frame(ax: Axes, box: Sequence[int], colour: str) -> None:
    """With a dark edge around it, so that it shows on any picture."""
    left, top, width, height = box
    # Pixels' centres have whole numbers.
    frame = Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=colour, linewidth=1.4)
    frame.set_path_effects([withStroke(linewidth=2.6, foreground=INK)])
    ax.add_patch(frame)


def _height(texts: Sequence[str]) -> float:
    """Of the tallest of some texts, in inches, with the space around it."""
    lines = max((text.count("\n") + 1 for text in texts if text), default=0)
    return lines * _LINE + 0.05 * bool(lines)


def _name(row: PageRow) -> str:
    return wrapped(row.name, 1.0, TEXT)
