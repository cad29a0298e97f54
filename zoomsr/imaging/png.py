"""PNG files: the pixels by libvips, in a third of Pillow's time, and around them all that the picture knows.

W3C, "Portable Network Graphics (PNG) Specification", 3rd edition, 2025.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from zoomsr.imaging.libvips import as_vips, libvips
from zoomsr.imaging.metadata import METERS_PER_INCH, Description

_HEADER = 33  # bytes of signature and IHDR
_COMPRESSION = 4


def write_png(file: BinaryIO, pixels: NDArray[Any], description: Description = Description()) -> None:  # noqa: B008
    """Write a picture.

    Args:
        file: gets it, from where it stands.
        pixels: (H, W, C) uint8 or uint16; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA).
        description: what is known beside them.

    Raises:
        ValueError: pixels of another type or number of channels.
        OSError: the file cannot be written.
    """
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2] not in (1, 2, 3, 4):
        found = f"{pixels.shape[2]} of {pixels.dtype}"
        raise ValueError(f"a PNG holds 1 to 4 channels of uint8 or uint16, not {found}")
    sink = _Sink(file, b"".join(_chunk(kind, data) for kind, data in _chunks(description)))
    target = libvips().TargetCustom()
    target.on_write(sink.write)
    try:
        as_vips(pixels).pngsave_target(target, compression=_COMPRESSION, filter="paeth", keep="none")
    except libvips().Error:
        if sink.failure is not None:
            raise sink.failure from None
        raise


class _Sink:
    """Puts chunks between header and pixels, in the place of those that libvips has there."""

    def __init__(self, file: BinaryIO, chunks: bytes) -> None:
        self._file, self._chunks, self._head, self._has_pixels = file, chunks, b"", False
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        """How many bytes are written; what is raised here would not reach the caller."""
        try:
            if self._has_pixels:
                self._file.write(data)
            else:
                self._head += bytes(data)
                if (start := self._head.find(b"IDAT", _HEADER) - 4) >= 0:
                    self._file.write(self._head[:_HEADER] + self._chunks)
                    self._file.write(self._head[start:])
                    self._has_pixels = True
        except OSError as error:
            self.failure = error
            return -1
        return len(data)


def _chunks(description: Description) -> list[tuple[bytes, bytes]]:
    icc, dpi, exif, _, colour = description
    chunks = list(colour)
    if icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if dpi:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(value / METERS_PER_INCH) for value in dpi), 1)))
    if exif:
        chunks.append((b"eXIf", exif.removeprefix(b"Exif\0\0")))
    return chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
