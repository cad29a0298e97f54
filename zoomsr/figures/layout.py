"""A line of pictures beside each other, and how much room its parts take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zoomsr.figures.cells import Cell
from zoomsr.figures.style import SMALL, TEXT, wrapped

GAP = 0.08
"""Inches, between pictures."""

LINE = 0.14
"""Inches, of a line of text."""


@dataclass(frozen=True)
class Strip:
    """Cells beside each other, and the heights of their parts in inches."""

    cells: Sequence[Cell]
    width: float
    titled: bool
    name: str

    def cell_width(self, cell: Cell) -> float:
        """Of as many columns as the cell spans."""
        return cell.span * self.width + (cell.span - 1) * GAP

    def title(self, cell: Cell) -> str:
        """In lines that fit."""
        return wrapped(cell.title, self.cell_width(cell), TEXT) if self.titled else ""

    def caption(self, cell: Cell) -> str:
        """In lines that fit."""
        return wrapped(cell.caption, self.cell_width(cell), SMALL, bold=cell.bold)

    @property
    def above(self) -> float:
        """Height of the titles."""
        return words_height(self.title(cell) for cell in self.cells)

    @property
    def below(self) -> float:
        """Height of the captions."""
        return words_height(self.caption(cell) for cell in self.cells)

    @property
    def picture(self) -> float:
        """Height of a picture; tall ones are shrunk."""
        shapes = [cell.image.shape for cell in self.cells if cell.image is not None and cell.span == 1]
        return self.width * min(1.3, max((height / width for height, width, *_ in shapes), default=1.0))

    @property
    def inset(self) -> float:
        """Height of an inset, 0 where there is none."""
        insets = [cell.inset() for cell in self.cells]
        return self.width * max((image.shape[0] / image.shape[1] for image in insets if image is not None), default=0)

    @property
    def pictures(self) -> float:
        """Height of a picture and the inset below it."""
        return self.picture + (self.inset + GAP if self.inset else 0)

    @property
    def height(self) -> float:
        """Of all, with the space below."""
        return self.above + self.pictures + self.below + GAP


def words_height(texts: Iterable[str]) -> float:
    """Height of the tallest of some texts, in inches, with the space around it."""
    lines = max((text.count("\n") + 1 for text in texts if text), default=0)
    return lines * LINE + 0.05 * bool(lines)
