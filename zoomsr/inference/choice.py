"""Which net a photograph gets, by how it was compressed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoomsr.imaging.blocking import JpegTrace, jpeg_trace
from zoomsr.imaging.header import Header
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.sampling import luma_samples

if TYPE_CHECKING:
    from zoomsr.inference.upscaler import Upscaler

CLEAN_NET, JPEG_NET = "unet", "unet_photo"
"""Of pictures that were never compressed, and of JPEGs."""

CLEAN_QUALITY = 99
"""A JPEG of this quality or better goes through ``CLEAN_NET``."""

_UNKNOWN_QUALITY = 85  # that is told where a picture was a JPEG with tables that are not libjpeg's

OpenAt = Callable[[str, int | None, float], "Upscaler"]
"""Opens a net by name, for a scale or None, for pictures of a JPEG quality."""


@dataclass(frozen=True)
class Compression:
    """How a picture was compressed.

    Attributes:
        quality: of the JPEG that it is or was, 1 to ``NEVER_COMPRESSED``.
        evidence: how that is known, for people.
    """

    quality: float
    evidence: str

    @staticmethod
    def of(source: Path, photograph: Photograph | None = None) -> Compression:
        """What the file's header says; of a file that is no JPEG, what its pixels show, where they are given."""
        header = Header.read(source)
        trace = None if header.is_jpeg or photograph is None else jpeg_trace(luma_samples(photograph.pixels))
        return Compression.found(header, trace)

    @staticmethod
    def found(header: Header, trace: JpegTrace | None) -> Compression:
        """From a file's header, and the trace of an earlier JPEG in its pixels."""
        if header.jpeg_quality is not None:
            chroma = "" if header.chroma is None else f", {header.chroma}"
            return Compression(header.jpeg_quality, f"JPEG quality {header.jpeg_quality}{chroma}")
        if header.is_jpeg:
            return Compression(_UNKNOWN_QUALITY, "JPEG of unknown quality")
        if trace is None:
            return Compression(NEVER_COMPRESSED, "no trace of JPEG")
        cropped = ", cropped" if trace.row or trace.column else ""
        if trace.quality is None:
            return Compression(_UNKNOWN_QUALITY, f"once a JPEG of unknown quality{cropped}")
        return Compression(trace.quality, f"once a JPEG of about quality {trace.quality}{cropped}")

    @property
    def net(self) -> str:
        """The name of the net for it."""
        return CLEAN_NET if self.quality >= CLEAN_QUALITY else JPEG_NET

    @staticmethod
    def told(quality: float) -> Compression:
        """As the user says."""
        return Compression(quality, f"taken as JPEG quality {quality:g}")


def open_for(compression: Compression, open_at: OpenAt, *, model: str | None, scale: int | None) -> Upscaler:
    """The net for a picture: the one that is named, else ``CLEAN_NET`` or ``JPEG_NET``.

    ``JPEG_NET`` has one scale. For another one it removes the traces of compression first, on the picture's own grid,
    and ``CLEAN_NET`` of that scale does the rest.

    Args:
        compression: of the picture.
        open_at: opens a net.
        model: None for the choice by compression.
        scale: that is wanted, or None for the net's own.

    Raises:
        ValueError: no such net.
    """
    if model is not None:
        return open_at(model, scale, compression.quality)
    if compression.net == CLEAN_NET:
        return open_at(CLEAN_NET, scale, NEVER_COMPRESSED)
    restorer = open_at(JPEG_NET, None, compression.quality)
    if scale in (None, restorer.net.scale):
        return restorer
    return replace(open_at(CLEAN_NET, scale, NEVER_COMPRESSED), restorer=restorer)
