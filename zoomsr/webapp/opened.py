"""A photograph that a visitor chose: opened, judged, and perhaps to be shrunk before a crop of it is upscaled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from zoomsr.imaging import files
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.pixels import PixelArray, to_8bit
from zoomsr.inference.choice import Compression
from zoomsr.inference.findings import Findings
from zoomsr.inference.pre_shrink import PreShrink, shrunk

SIDE = 256
"""Of the crop that is upscaled, in pixels."""

SCALES = (2, 3, 4)
"""On offer; the first unless the visitor says otherwise."""

MAX_BYTES = 100 * 2**20
MAX_PIXELS = 40_000_000

_PREVIEW = 1024  # pixels on the longer side: sharp enough to aim at, and small on the wire


@dataclass(frozen=True)
class Opened:
    """A photograph that was chosen. Its pixels stay in the file: 40 megapixels for each visitor would fill the memory.

    Attributes:
        path: of the file.
        preview: (h, w, 3) uint8, to choose a crop on.
        findings: what is in the file.
        factor: by which it is shrunk first. Crops are chosen in the pixels that this leaves.
    """

    path: Path
    preview: PixelArray
    findings: Findings
    factor: float = 1.0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), upright and shrunk."""
        return shrunk((self.findings.height, self.findings.width), self.factor)

    @property
    def has_truth(self) -> bool:
        """Whether it is large enough to be downscaled first."""
        return min(self.size) >= SCALES[0] * SIDE

    def compression(self, *, is_shrunk: bool) -> Compression:
        """By which a net is chosen; ``is_shrunk``: whether a crop is made smaller, as for a test against it."""
        if is_shrunk or self.factor != 1:
            return Compression(NEVER_COMPRESSED, "shrunk first")
        return self.findings.compression

    def shrunk_by(self, factor: float) -> Opened:
        """The same, to be shrunk first; by 1 as it is."""
        return replace(self, factor=factor)

    def read(self) -> Photograph:
        """All of it, shrunk.

        Raises:
            ValueError: the file is broken, or gone.
        """
        return PreShrink(self.factor).of(_read(self.path))


def opened(path: Path) -> Opened:
    """Open a photograph. Its size is read and checked before any pixel is decoded.

    Raises:
        ValueError: no image, a broken one, or one of more than ``MAX_BYTES`` or ``MAX_PIXELS``.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has more than {MAX_BYTES >> 20} MB")
    try:
        height, width = files.size(path)
    except (ValueError, OSError, SyntaxError) as error:
        raise ValueError(_without_folder(error, path)) from None
    if height * width > MAX_PIXELS:
        millions = f"{-(-height * width // 10**6)} megapixels, and {MAX_PIXELS // 10**6} are the most here"
        raise ValueError(f"{path.name} has {millions}: python -m zoomsr.zoom enlarges it")
    photograph = _read(path)
    pixels = to_8bit(photograph.pixels)
    small = Image.fromarray(pixels.repeat(3, 2) if pixels.shape[2] == 1 else pixels)
    small.thumbnail((_PREVIEW, _PREVIEW))
    return Opened(path, np.asarray(small), Findings.of(path, photograph, photograph.size))


def _read(path: Path) -> Photograph:
    try:
        return Photograph.read(path)
    except ValueError as error:
        if not path.exists():
            raise ValueError(f"{path.name} is not kept any more: drop it again") from None
        raise ValueError(_without_folder(error, path)) from None


def _without_folder(error: Exception, path: Path) -> str:
    """A visitor does not need to know where the file lies."""
    return str(error).replace(str(path), path.name)
