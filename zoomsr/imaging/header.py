"""What the header of a picture's file says of its compression."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from zoomsr.imaging.jpeg_quality import chroma_in, quality_in
from zoomsr.imaging.pillow import open_picture


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        format: ``JPEG``, ``PNG``; None where only libvips knows.
        jpeg_quality: 1 to 100, of a JPEG's luma table; None of other formats.
        chroma: ``4:2:0``; None of other formats and samplings.
    """

    format: str | None
    jpeg_quality: int | None
    chroma: str | None

    @staticmethod
    def read(path: Path) -> Header:
        """By Pillow; all None where it cannot read the file."""
        with contextlib.suppress(ValueError), open_picture(path) as picture:
            return Header(picture.format, quality_in(picture), chroma_in(picture))
        return Header(None, None, None)

    @property
    def is_jpeg(self) -> bool:
        """Whether it is a JPEG, or several in one file."""
        return self.format in ("JPEG", "MPO")
