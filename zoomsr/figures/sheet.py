"""A page of pictures, laid out in inches: no layout engine, so that panels are equally large in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from zoomsr.figures.data import ERROR_RANGE
from zoomsr.figures.style import GREY, INK, ORANGE, SKY, SMALL, TEXT, dress_bar

Box = tuple[int, int, int, int]
"""Left, top, width, height, in pixels."""

_FINE = 160
"""Pixels in an inch from which on neighbours may fall together on a page of low resolution."""

AREA = ORANGE
"""Frames the area on the photograph."""
INSET = SKY
"""Frames the inset in an area, and the inset itself."""


@dataclass(frozen=True)
class Place:
    """A rectangle on the page, in inches from its upper left corner."""

    left: float
    top: float
    width: float
    height: float


class Sheet:
    """A white page of pictures.

    Args:
        width: in inches.
        height: in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), facecolor="white", edgecolor="white")
        self._width, self._height = width, height
        self._errors: list[AxesImage] = []

    def axes(self, place: Place) -> Axes:
        """Axes that fill a place."""
        bottom = self._height - place.top - place.height
        corner = (place.left / self._width, bottom / self._height)
        return self.figure.add_axes((*corner, place.width / self._width, place.height / self._height))

    def picture(self, place: Place, image: NDArray[np.float32], *, squares: bool = False) -> Axes:
        """A picture that hangs from the upper edge of its place.

        Args:
            place: where.
            image: (H, W, 3) on [0, 1], or (H, W), an error map.
            squares: show each pixel as a square, unless the picture is finer than the page.
        """
        ax = self.axes(place)
        # antialiased: no moire where the picture is finer than the page, and squares where it is much coarser
        interpolation = "nearest" if squares and image.shape[1] < _FINE * place.width else "antialiased"
        if image.ndim == 2:
            shown = ax.imshow(image, vmin=0, vmax=ERROR_RANGE, cmap="magma", interpolation=interpolation)
            self._errors.append(shown)
        else:
            ax.imshow(np.clip(image, 0, 1), vmin=0, vmax=1, interpolation=interpolation)
        ax.set(xticks=[], yticks=[], anchor="N")
        for spine in ax.spines.values():
            spine.set(color=GREY, linewidth=0.6)
        return ax

    def heading(self, left: float, top: float, text: str) -> None:
        """A bold line."""
        x, y = left / self._width, 1 - top / self._height
        self.figure.text(x, y, text, va="top", fontsize=TEXT + 1, fontweight="bold", color=INK)

    def name(self, left: float, place: Place, text: str) -> None:
        """The name of a row, upwards along its left edge."""
        x, y = left / self._width, 1 - (place.top + place.height / 2) / self._height
        written = self.figure.text(x, y, text, rotation=90, ha="left", va="center", fontsize=TEXT, color=INK)
        written.set(multialignment="center", parse_math=False)

    def error_bar(self, place: Place) -> None:
        """The one colour bar of all error maps."""
        ax = self.axes(place)
        bar = self.figure.colorbar(self._errors[0], cax=ax, orientation="horizontal", extend="max")
        dress_bar(bar, "absolute error, mean of R, G and B, on [0, 1]", SMALL)
        bar.set_ticks(np.linspace(0, ERROR_RANGE, 5).tolist())


def mark(ax: Axes, box: Sequence[int], colour: str) -> None:
    """Frame a box, with a dark edge around the frame so that it shows on any picture."""
    left, top, width, height = box
    # Pixels' centres have whole numbers.
    frame = Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=colour, linewidth=1.4)
    frame.set_path_effects([withStroke(linewidth=2.6, foreground=INK)])
    ax.add_patch(frame)


def framed(ax: Axes, colour: str) -> None:
    """Give a whole picture the colour of the box that it was cut from."""
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=1.6)
