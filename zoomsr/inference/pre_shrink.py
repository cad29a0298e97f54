"""Shrinking a soft photograph before it is enlarged: the net then works on the detail that there is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.real_resolution import enlarged_by
from zoomsr.imaging.sampling import luma_samples


@dataclass(frozen=True)
class PreShrink:
    """By how much photographs are shrunk first, by the exact bicubic.

    Attributes:
        factor: of each side, 1 for not at all; None for what ``enlarged_by`` finds in each photograph.
    """

    factor: float | None = 1.0

    @staticmethod
    def parse(text: str) -> PreShrink:
        """``auto``, or a factor.

        Raises:
            ValueError: neither, or below 1.
        """
        try:
            factor = None if text == "auto" else float(text)
        except ValueError:
            factor = math.nan
        if factor is not None and not 1 <= factor < math.inf:
            raise ValueError(f"--pre-shrink {text} is neither auto nor a number from 1 on")
        return PreShrink(factor)

    def of(self, photograph: Photograph) -> Photograph:
        """The photograph, shrunk, with a note that says so; itself where it is sharp, or where nothing can be said."""
        factor = enlarged_by(luma_samples(photograph.pixels)) if self.factor is None else self.factor
        if math.isnan(factor) or factor == 1:
            return photograph
        height, width = shrunk(photograph.size, factor)
        note = f"shrunk by {factor:g} first, to {width}x{height}"
        return replace(photograph.resized((height, width)), notes=(*photograph.notes, note))


def shrunk(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """(height, width) of a photograph of ``size`` that was shrunk."""
    height, width = (max(1, round(side / factor)) for side in size)
    return height, width
