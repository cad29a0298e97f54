"""What a picture file says about its picture, beside the pixels: EXIF, resolution, colour. Odd entries stop nothing."""

from __future__ import annotations

import contextlib
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import ExifTags, Image

_ORIENTATION = ExifTags.Base.Orientation
# What describes the photograph, and not how its pixels lie in the file.
_KEPT_TAGS = (
    *(ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software),
    *(ExifTags.Base.DateTime, ExifTags.Base.Artist, ExifTags.Base.Copyright),
)
_IFDS = {ExifTags.IFD.Exif: ExifTags.TAGS, ExifTags.IFD.GPSInfo: ExifTags.GPSTAGS}
_FILE_TAGS = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.IFD.Interop)

COLOUR_CHUNKS = (b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI")
"""Of a PNG: how its numbers are to be seen."""

_WARNINGS = threading.RLock()  # their filters are the whole process's
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_BYTES = 2**24  # of a chunk that is read
_MAX_DPI = 65535  # what JPEG can hold; the largest scanners have a tenth
METERS_PER_INCH = 0.0254


class Description(NamedTuple):
    """What of a file is kept beside its pixels.

    Attributes:
        icc: colour profile.
        dpi: horizontal and vertical.
        exif: without orientation and sizes, with its ``Exif`` header.
        notes: what of the file is not in here: ``frame 1 of 12``.
        colour: chunks of a PNG that say how its numbers are to be seen, by their names.
    """

    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    notes: tuple[str, ...] = ()
    colour: tuple[tuple[bytes, bytes], ...] = ()


def png_chunks(path: Path) -> dict[bytes, bytes]:
    """Those of a PNG that describe it, by their names, also behind the pixels; of a damaged file the first ones."""
    chunks: dict[bytes, bytes] = {}
    with path.open("rb") as file, contextlib.suppress(struct.error):
        if file.read(8) != _PNG_SIGNATURE:
            return chunks
        while True:
            length, kind = struct.unpack(">I4s", file.read(8))
            if kind in (*COLOUR_CHUNKS, b"pHYs", b"iCCP", b"eXIf", b"acTL") and length <= _MAX_BYTES:
                chunks[kind] = file.read(length)
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)
    return chunks


def exif_in(source: bytes | BinaryIO) -> Image.Exif | None:
    """EXIF from its bytes, or from a TIFF file; None where there is nothing that can be read."""
    exif = Image.Exif()
    with contextlib.suppress(Exception), quiet():  # Pillow raises whatever it stumbles over
        if isinstance(source, bytes):
            exif.load(source)
        else:
            exif.load_from_fp(source)
        dict(exif)
        for ifd in _IFDS:  # while the file is open
            with contextlib.suppress(Exception):  # is said in ``kept_in``
                exif.get_ifd(ifd)
        return exif if len(exif) else None
    return None


def exif_of(picture: Image.Image) -> Image.Exif | None:
    """EXIF of an image of Pillow's; None where there is nothing that can be read."""
    with contextlib.suppress(Exception), quiet():  # as above
        exif = picture.getexif()
        return exif if len(exif) else None
    return None


def orientation_in(exif: Image.Exif | None) -> int:
    """1 to 8; 1 of what is none of them."""
    value = None if exif is None else exif.get(_ORIENTATION)
    return value if isinstance(value, int) and value in range(1, 9) else 1


def kept_in(exif: Image.Exif) -> tuple[bytes | None, list[str]]:
    """What describes the photograph, without orientation and sizes, and the names of the entries that are damaged."""
    found, damaged = Image.Exif(), []
    with quiet():
        for tag in _KEPT_TAGS:
            try:
                if tag in exif:
                    found[tag] = _sound({tag: exif[tag]})[tag]
            except Exception:  # as above
                damaged.append(tag.name)
        for ifd, names in _IFDS.items():
            part: dict[int, Any] = {}
            try:
                entries = exif.get_ifd(ifd)
            except Exception:  # as above
                damaged.append(ifd.name)
                continue
            for number, value in entries.items():
                try:
                    part |= _sound({ifd: {number: value}})[ifd] if number not in _FILE_TAGS else {}
                except Exception:  # as above
                    damaged.append(str(names.get(number, number)))
            if part:
                found[ifd] = part
        return (found.tobytes() if len(found) else None), damaged


def is_resolution(dpi: tuple[float, float]) -> bool:
    """Whether a picture can have it."""
    return all(0 < value <= _MAX_DPI for value in dpi)


def png_resolution(chunk: bytes) -> tuple[float, float] | None:
    """Dots per inch of a pHYs chunk; None where it is no more than an aspect ratio."""
    across, down, is_metric = struct.unpack(">IIB", chunk[:9].ljust(9, b"\0"))
    return (across * METERS_PER_INCH, down * METERS_PER_INCH) if is_metric else None


def profile_fits(icc: bytes, colours: int) -> bool:
    """Whether a colour profile is one for 1 (grey) or 3 (RGB) channels."""
    return icc[16:20] == {1: b"GRAY", 3: b"RGB "}[colours]


def _sound(entries: dict[int, Any]) -> dict[int, Any]:
    """The same, if they can be written."""
    trial = Image.Exif()
    for tag, value in entries.items():
        trial[tag] = value
    trial.tobytes()
    return entries


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings of odd metadata, which ``kept_in`` reports."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
