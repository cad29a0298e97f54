"""Rows of pictures: methods side by side, a net epoch by epoch, its best and worst crops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from zoomsr.figures.data import Enlargement, Panel
from zoomsr.figures.page import PageCell, PageRow, draw
from zoomsr.figures.style import TIE

_Box = tuple[int, int, int, int]


def comparison(rows: Sequence[Enlargement]) -> Figure:
    """One row per crop: [photograph, the crop marked] | [ground truth] | input | each method, and an inset below each.

    The inset is where the methods differ most. All pictures share the range [0, 1]. Under each method are its dB and
    SSIM, the highest dB in bold. Rows of more than six columns continue in a further line.

    Raises:
        ValueError: no rows, or rows of different methods.
    """
    _check(rows, "a comparison")
    photographs = [row.photograph for row in rows if row.photograph is not None]
    wide = any(photograph.shape[1] > 0.8 * photograph.shape[0] for photograph in photographs)
    drawn = []
    for row in rows:
        inset = _most_different(row)
        whole = [PageCell(row.name, row.photograph, box=row.box, span=2 if wide else 1)] if photographs else []
        truth = [_ground_truth(row, inset)] if _has_truth(rows) else []
        cells = [*whole, *truth, _input(row, inset), *_methods(row, inset)]
        drawn.append(PageRow(cells, name="" if photographs else row.name))
    return draw(drawn, most=6)


def epochs(rows: Sequence[Enlargement]) -> Figure:
    """One row per crop: [photograph] | input | each method, in order | ground truth | absolute error of the last.

    All pictures share the range [0, 1], and the error maps one colour bar. Rows of more than eight columns continue in
    a further line.

    Raises:
        ValueError: no rows, or rows of different methods.
    """
    _check(rows, "a figure of epochs")
    return draw([PageRow(_with_error(row, rows), row.name) for row in rows], most=8)


def best_worst(*, gains: Sequence[Enlargement], errors: Sequence[Enlargement]) -> Figure:
    """Rows like those of ``epochs``, in two blocks: the largest gains over bicubic, and the largest errors elsewhere.

    Raises:
        ValueError: no rows at all, or rows of different methods.
    """
    rows = [*gains, *errors]
    _check(rows, "a figure of best and worst crops")
    none = "" if gains else f"No good results: {list(rows[0].methods)[-1]} beats bicubic on no crop yet. "
    headings = {0: "Good results: the largest gain over bicubic"} | {
        len(gains): f"{none}Difficulties: the largest error{' elsewhere' if gains else ''}"
    }
    drawn = [PageRow(_with_error(row, rows), row.name, headings.get(number, "")) for number, row in enumerate(rows)]
    return draw(drawn, most=8, largest=1.4)


def _with_error(row: Enlargement, rows: Sequence[Enlargement]) -> list[PageCell]:
    """The columns that any row of the figure needs."""
    has_photograph = any(other.photograph is not None for other in rows)
    whole = [PageCell("crop marked", row.photograph, box=row.box)] if has_photograph else []
    cells = [*whole, _input(row), *_methods(row)]
    if not _has_truth(rows):
        return cells
    if row.hr is None:
        return [*cells, PageCell("", None), PageCell("", None)]
    label, panel = list(row.methods.items())[-1]
    error = np.abs(np.clip(panel.image, 0, 1) - row.hr).mean(-1)
    return [*cells, _ground_truth(row), PageCell(f"|error| of {label}", error, f"MAE {error.mean():.4f}")]


def _input(row: Enlargement, inset: _Box | None = None) -> PageCell:
    height, width = row.lr.shape[:2]
    words = "input (nearest)", row.input(), f"{width}x{height} pixels"
    return PageCell(*words, box=inset, is_magnified=inset is not None, is_input=True)


def _ground_truth(row: Enlargement, inset: _Box | None = None) -> PageCell:
    if row.hr is None:
        return PageCell("", None)
    height, width = row.hr.shape[:2]
    return PageCell("ground truth", row.hr, f"{width}x{height} pixels", box=inset, is_magnified=inset is not None)


def _methods(row: Enlargement, inset: _Box | None = None) -> list[PageCell]:
    """What each method has made, with dB and SSIM; the highest dB of several stands out."""
    known = [panel.psnr_y for panel in row.methods.values() if panel.psnr_y is not None]
    best = max(known) if known and len(row.methods) > 1 else None
    return [
        PageCell(
            label,
            panel.image,
            _scores(panel),
            box=inset,
            is_magnified=inset is not None,
            is_bold=best is not None and panel.psnr_y == best,
        )
        for label, panel in row.methods.items()
    ]


def _scores(panel: Panel) -> str:
    decibels = [] if panel.psnr_y is None else [f"{panel.psnr_y:.2f}{TIE}dB"]
    return ", ".join(decibels if panel.ssim_y is None else [*decibels, f"SSIM{TIE}{panel.ssim_y:.4f}"])


def _most_different(row: Enlargement) -> _Box:
    """Where the methods (and the ground truth) differ most: a fixed rule, so that nobody picks the place.

    Half as high as wide, three eighths of the crop's width; on the grid of the input, in pixels of the ground truth.
    """
    images = list(row.upscaled().values())
    spread = np.stack([*images, *([row.input()] if len(images) == 1 else [])]).std(0).mean(-1)
    lr_height, lr_width = row.lr.shape[:2]
    width = max(1, round(lr_width * 3 / 8))
    height = min(lr_height, max(1, round(width / 2)))
    pooled = spread.reshape(lr_height, row.scale, lr_width, row.scale).sum((1, 3), dtype=np.float64)
    sums = np.pad(pooled.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    windows = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = (int(index) for index in np.unravel_index(windows.argmax(), windows.shape))
    return left * row.scale, top * row.scale, width * row.scale, height * row.scale


def _check(rows: Sequence[Enlargement], what: str) -> None:
    if not rows or any(list(row.methods) != list(rows[0].methods) for row in rows):
        raise ValueError(f"{what} needs at least one row, and the same methods in each")


def _has_truth(rows: Sequence[Enlargement]) -> bool:
    return any(row.hr is not None for row in rows)
