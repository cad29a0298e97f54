"""Rows of pictures: methods side by side, a net epoch by epoch, what it does best and worst."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from zoomsr.figures import cells
from zoomsr.figures.cells import Cell
from zoomsr.figures.data import Enlargement
from zoomsr.figures.page import Block, Row, draw


def comparison(rows: Sequence[Enlargement]) -> Figure:
    """One row per area: [photograph with the area marked] | [truth] | input | each method, and an inset below each.

    The inset is where the methods differ most. All pictures share the range [0, 1]. Under each method are its dB and
    SSIM, the highest dB in bold. Rows of more than six columns go on in a further line.

    Raises:
        ValueError: no rows, or rows of different methods.
    """
    _alike(rows, "a comparison")
    photographs, truths = _any_photograph(rows), _any_truth(rows)
    wide = any(row.photograph is not None and row.photograph.shape[1] > 0.8 * row.photograph.shape[0] for row in rows)
    drawn = []
    for row in rows:
        inset = cells.liveliest(row)
        first = [cells.photograph(row, row.name, wide=wide)] if photographs else []
        second = [cells.ground_truth(row, inset)] if truths else []
        line = [*first, *second, cells.given(row, inset), *cells.methods(row, inset)]
        drawn.append(Row(line, name="" if photographs else row.name))
    return draw([Block("", drawn)], most=6, bar=False)


def epochs(rows: Sequence[Enlargement]) -> Figure:
    """One row per area: [photograph] | input | each method, in order | truth | absolute error of the last.

    All pictures share the range [0, 1], and the error maps one colour bar. Rows of more than eight columns go on in a
    further line.

    Raises:
        ValueError: no rows, or rows of different methods.
    """
    _alike(rows, "a strip of epochs")
    return draw([Block("", _with_errors(rows, rows))], most=8, bar=_any_truth(rows))


def best_worst(*, gains: Sequence[Enlargement], errors: Sequence[Enlargement]) -> Figure:
    """Two blocks of rows like those of ``epochs``: where the net gains most over bicubic, and where it errs most.

    Raises:
        ValueError: no rows at all, or rows of different methods.
    """
    rows = [*gains, *errors]
    _alike(rows, "a gallery")
    blocks = [
        Block("Good results: the largest gain over bicubic", _with_errors(gains, rows)),
        Block("Difficulties: the largest error", _with_errors(errors, rows)),
    ]
    return draw(blocks, most=8, bar=_any_truth(rows), largest=1.4)


def _with_errors(rows: Sequence[Enlargement], of_figure: Sequence[Enlargement]) -> list[Row]:
    """Their lines, with the columns that any row of the figure needs."""
    photographs, truths = _any_photograph(of_figure), _any_truth(of_figure)
    drawn = []
    for row in rows:
        line: list[Cell] = [cells.photograph(row, "area marked")] if photographs else []
        line += [cells.given(row), *cells.methods(row)]
        line += [cells.ground_truth(row), cells.error(row)] if truths else []
        drawn.append(Row(line, row.name))
    return drawn


def _alike(rows: Sequence[Enlargement], what: str) -> None:
    if not rows or any(list(row.methods) != list(rows[0].methods) for row in rows):
        raise ValueError(f"{what} needs at least one row, and the same methods in each")


def _any_photograph(rows: Sequence[Enlargement]) -> bool:
    return any(row.photograph is not None for row in rows)


def _any_truth(rows: Sequence[Enlargement]) -> bool:
    return any(row.hr is not None for row in rows)
