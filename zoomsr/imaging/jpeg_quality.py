"""JPEG quality, 0 to 100, of the quantisation tables in a file: how coarsely it was compressed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Of luma, in row order: Table K.1 of ITU-T T.81 (1992), which libjpeg scales.
_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
QUALITIES = range(1, 101)
NEVER_COMPRESSED = 100
"""The JPEG quality of a picture that was never compressed."""


def luma_table(quality: int) -> NDArray[np.float64]:
    """Quantisation steps of libjpeg (its function ``jpeg_set_quality``, baseline), (64,) in row order.

    Args:
        quality: 1 to 100.
    """
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((np.array(_LUMA) * percent + 50) // 100).clip(1, 255).astype(np.float64)


def quality_of(table: Sequence[int]) -> int:
    """The quality whose luma table of libjpeg is nearest, by the mean squared logarithm of the steps' ratio.

    Exact for tables that libjpeg made. For those of cameras, Photoshop or mozjpeg, which are no scaled standard table,
    it is the quality at which libjpeg compresses about as coarsely.

    Args:
        table: 64 steps of luma in row order.

    Returns:
        1 to 100.

    Raises:
        ValueError: there are not 64 steps, or one is below 1.
    """
    if len(table) != 64 or min(table) < 1:
        raise ValueError(f"{list(table)} is no quantisation table: 64 numbers from 1 on")
    logarithms = np.log(np.array(table, np.float64))
    distances = [float(((logarithms - np.log(luma_table(quality))) ** 2).sum()) for quality in QUALITIES]
    return QUALITIES[int(np.argmin(distances))]


def quality_in(picture: Image.Image) -> int | None:
    """The quality of an opened JPEG, read from its header; None of any other format, or without usable tables.

    Args:
        picture: opened by Pillow, which gives tables in row order since version 8.3.
    """
    tables = getattr(picture, "quantization", None)
    components = getattr(picture, "layer", None)  # (id, horizontal and vertical sampling, table) of each
    if not tables or not components:
        return None
    table = tables.get(components[0][3])
    return None if table is None or len(table) != 64 or min(table) < 1 else quality_of(table)


def chroma_in(picture: Image.Image) -> str | None:
    """Chroma subsampling of an opened JPEG: ``4:4:4``, ``4:2:2``, ``4:2:0``; None of grey, or of another sampling."""
    components = getattr(picture, "layer", None)
    if not components or len(components) != 3 or any(tuple(one[1:3]) != (1, 1) for one in components[1:]):
        return None
    return {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}.get(tuple(components[0][1:3]))
