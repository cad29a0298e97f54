"""From an enlargement to the pictures of its row: which, with which words, and what is marked on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoomsr.figures.data import Enlargement, Image, Panel
from zoomsr.figures.sheet import AREA, INSET, Box
from zoomsr.figures.style import TIE


@dataclass(frozen=True)
class Cell:
    """One picture of a page.

    Attributes:
        title: above it.
        image: (H, W, 3) on [0, 1], (H, W) for an error map, or None for an empty cell.
        caption: below it.
        box: framed on it.
        colour: of the frame; ``INSET`` also has the box enlarged below the picture.
        bold: whether the caption stands out.
        squares: whether its pixels are to be seen as squares.
        span: how many columns it takes.
    """

    title: str
    image: NDArray[np.float32] | None
    caption: str = ""
    box: Box | None = None
    colour: str = AREA
    bold: bool = False
    squares: bool = False
    span: int = 1

    def inset(self) -> Image | None:
        """What the box holds, where that is shown by itself."""
        if self.image is None or self.box is None or self.colour != INSET:
            return None
        left, top, width, height = self.box
        return self.image[top : top + height, left : left + width]


def photograph(row: Enlargement, title: str, *, wide: bool = False) -> Cell:
    """The whole picture with the area marked, in two columns if ``wide``."""
    return Cell(title, row.photograph, box=row.box, span=2 if wide else 1)


def given(row: Enlargement, inset: Box | None = None) -> Cell:
    """The input, a square for each pixel."""
    height, width = row.lr.shape[:2]
    return Cell("input (nearest)", row.input(), f"{width}x{height} pixels", box=inset, colour=INSET, squares=True)


def ground_truth(row: Enlargement, inset: Box | None = None) -> Cell:
    """The ground truth, or an empty cell."""
    if row.hr is None:
        return Cell("", None)
    height, width = row.hr.shape[:2]
    return Cell("truth", row.hr, f"{width}x{height} pixels", box=inset, colour=INSET)


def methods(row: Enlargement, inset: Box | None = None) -> list[Cell]:
    """What each method has made, with dB and SSIM; the highest dB of several stands out."""
    best = max((panel.psnr_y for panel in row.methods.values() if panel.psnr_y is not None), default=None)
    several = len(row.methods) > 1
    return [
        Cell(
            label,
            panel.image,
            _scores(panel),
            box=inset,
            colour=INSET,
            bold=several and best is not None and panel.psnr_y == best,
        )
        for label, panel in row.methods.items()
    ]


def error(row: Enlargement) -> Cell:
    """Where the last method errs, or an empty cell where the ground truth is not known."""
    if row.hr is None:
        return Cell("", None)
    label, panel = list(row.methods.items())[-1]
    wrong = np.abs(np.clip(panel.image, 0, 1) - row.hr).mean(-1)
    return Cell(f"|error| of {label}", wrong, f"MAE {wrong.mean():.4f}")


def liveliest(row: Enlargement) -> Box:
    """Where the methods (and the ground truth) differ most: a fixed rule, so that nobody picks the place.

    Half as high as wide, three eighths of the area's width; on the grid of the input, in the truth's pixels.
    """
    images: Sequence[Image] = list(row.enlarged().values())
    spread = np.stack([*images, *([row.input()] if len(images) == 1 else [])]).std(0).mean(-1)
    lr_height, lr_width = row.lr.shape[:2]
    width = max(1, round(lr_width * 3 / 8))
    height = min(lr_height, max(1, round(width / 2)))
    pooled = spread.reshape(lr_height, row.scale, lr_width, row.scale).sum((1, 3), dtype=np.float64)
    sums = np.pad(pooled.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    windows = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = (int(index) for index in np.unravel_index(windows.argmax(), windows.shape))
    return left * row.scale, top * row.scale, width * row.scale, height * row.scale


def _scores(panel: Panel) -> str:
    decibels = [] if panel.psnr_y is None else [f"{panel.psnr_y:.2f}{TIE}dB"]
    return ", ".join(decibels if panel.ssim_y is None else [*decibels, f"SSIM{TIE}{panel.ssim_y:.4f}"])
