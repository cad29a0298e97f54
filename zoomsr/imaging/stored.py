"""What a library of the extra ``formats`` finds in a file before it decodes it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from zoomsr.imaging.pixels import PixelArray


class Decoded(NamedTuple):
    """Pixels (H, W, C), uint8 or uint16, upright, and what of the file is not used.

    C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA).
    """

    pixels: PixelArray
    notes: tuple[str, ...] = ()


class Stored(NamedTuple):
    """A picture in a file whose header was read.

    Attributes:
        size: (height, width), upright.
        is_grey: whether it has one channel of brightness.
        decode: the pixels.
        icc: colour profile.
        exif: a block of EXIF, whose orientation is not to be applied.
        xmp: a packet of XMP.
    """

    size: tuple[int, int]
    is_grey: bool
    decode: Callable[[], Decoded]
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


def library(module: str, path: Path) -> Any:
    """A module of the extra ``formats``.

    Raises:
        ValueError: it is not installed; the file that needs it is named.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ValueError(f"{path} needs {module.replace('_', '-')}: pip install zoomsr[formats]") from None
