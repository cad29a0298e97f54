"""JPEG XL, read and written by pyjpegxl (libjxl). ISO/IEC 18181-1 (codestream) and 18181-2 (boxes)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoomsr.imaging.bmff import boxes_in
from zoomsr.imaging.libvips import reading
from zoomsr.imaging.metadata import Description, with_resolution
from zoomsr.imaging.pillow import without_white
from zoomsr.imaging.pixels import PixelArray
from zoomsr.imaging.stored import Decoded, Stored, library

SUFFIXES = (".jxl",)
MAX_SIDE = 2**18
"""Of what is written: that of level 5, which every decoder takes."""

_CODESTREAM, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"


def is_jxl(head: bytes) -> bool:
    """Whether the first bytes of a file are JPEG XL's."""
    return head.startswith((_CODESTREAM, _CONTAINER))


def opened(path: Path) -> Stored:
    """The picture, of an animation the last frame. libjxl turns it upright, so that EXIF's orientation means nothing.

    Raises:
        ValueError: damaged, or pyjpegxl is not installed.
    """
    pyjpegxl = library("pyjpegxl", path)
    with reading(path):
        data = path.read_bytes()
        header = pyjpegxl.probe(data)
    boxes = list(boxes_in(data)) if data.startswith(_CONTAINER) else [(b"jxlc", data)]
    stream = next((part[4:] if kind == b"jxlp" else part for kind, part in boxes if kind[:3] == b"jxl"), b"")
    said = {"it is an animation: its last frame is taken": _is_animated(stream)}
    said["a gain map is in the file, and is left out"] = any(kind == b"jhgm" for kind, _ in boxes)

    def decode() -> Decoded:
        _, array = pyjpegxl.decode_to_numpy(data)
        if array.dtype == np.float32:
            raise without_white(path, is_float=True)
        return Decoded(array, tuple(note for note, is_so in said.items() if is_so))

    is_grey = header.num_color_channels == 1
    exif = header.exif[4 + int.from_bytes(header.exif[:4], "big") :] if header.exif else None
    return Stored((header.height, header.width), is_grey, decode, header.icc, exif, header.xmp)


def encoded(pixels: PixelArray, description: Description, *, quality: int, path: Path) -> bytes:
    """A JPEG XL file; 100 is lossless.

    Raises:
        ValueError: pyjpegxl is not installed.
    """
    exif = with_resolution(description.exif, description.dpi)
    block = None if exif is None else bytes(4) + exif.removeprefix(b"Exif\0\0")
    blocks = {"icc": description.icc, "exif": block, "xmp": description.xmp}
    file: bytes = library("pyjpegxl", path).encode_from_numpy(
        np.ascontiguousarray(pixels), quality=_distance(quality), lossless=quality == 100, **blocks
    )
    return file


def require_writable(path: Path) -> None:
    """Raise ValueError where no JPEG XL can be written here."""
    library("pyjpegxl", path)


def _distance(quality: int) -> float:
    """Butteraugli distance, as libjxl's JxlEncoderDistanceFromQuality gives it."""
    return 0.1 + (100 - quality) * 0.09 if quality >= 30 else 53 / 3000 * quality**2 - 23 / 20 * quality + 25


def _is_animated(stream: bytes) -> bool:
    """Whether the header of a codestream says so; no where a preview comes before that."""
    bits = int.from_bytes(stream[2:66], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    def skip_size() -> None:
        is_small = take(1)
        for is_width in (False, True):
            if not (is_width and take(3)):  # else the width is a ratio of the height
                take(5 if is_small else (9, 13, 18, 30)[take(2)])

    skip_size()
    if take(1) or not take(1):  # all fields have their defaults, or these have
        return False
    take(3)  # orientation
    if take(1):
        skip_size()
    return not take(1) and bool(take(1))
