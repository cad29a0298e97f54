"""Metadata of image files: EXIF with its orientation, resolution, colour. Damaged entries stop nothing."""

from __future__ import annotations

import contextlib
import struct
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from zoomsr.imaging.pixels import PixelArray

# What describes the photograph, and not how its pixels lie in the file.
_KEPT_TAGS = (
    *(ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software),
    *(ExifTags.Base.DateTime, ExifTags.Base.Artist, ExifTags.Base.Copyright),
)
_IFDS = {ExifTags.IFD.Exif: ExifTags.TAGS, ExifTags.IFD.GPSInfo: ExifTags.GPSTAGS}
_FILE_TAGS = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.IFD.Interop)

COLOUR_CHUNKS = (b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI")
"""PNG chunks that say how the pixel values are to be seen."""

_WARNINGS = threading.RLock()  # warning filters are global to the process
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNK_BYTES = 2**24
_MP_COUNT = 0xB001  # tag of the Multi-Picture Format
_MAX_DPI = 65535  # what JPEG can hold; the largest scanners have a tenth
METERS_PER_INCH = 0.0254


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is kept of a file beside its pixels.

    Attributes:
        icc: colour profile.
        dpi: horizontal and vertical.
        exif: without orientation and sizes, with its ``Exif`` header.
        xmp: a packet of what describes the photograph, see ``zoomsr.imaging.xmp``.
        notes: what of the file is not in here: ``frame 1 of 12``.
        colour: PNG chunks that say how its numbers are to be seen, by their names.
    """

    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()
    colour: tuple[tuple[bytes, bytes], ...] = ()


def png_chunks(path: Path) -> dict[bytes, bytes]:
    """Metadata chunks of a PNG by name, also those behind the pixels; of a damaged file the ones that can be read."""
    chunks: dict[bytes, bytes] = {}
    with path.open("rb") as file, contextlib.suppress(struct.error):
        if file.read(8) != _PNG_SIGNATURE:
            return chunks
        while True:
            length, kind = struct.unpack(">I4s", file.read(8))
            if kind in (*COLOUR_CHUNKS, b"pHYs", b"iCCP", b"eXIf", b"acTL") and length <= _MAX_CHUNK_BYTES:
                chunks[kind] = file.read(length)
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)
    return chunks


def exif_in(source: bytes | BinaryIO) -> Image.Exif | None:
    """EXIF from its bytes, or from a TIFF file; None where there is nothing that can be read."""
    exif = Image.Exif()
    with contextlib.suppress(Exception), quiet():  # Pillow raises errors of any type on damaged entries
        if isinstance(source, bytes):
            exif.load(source)
        else:
            exif.load_from_fp(source)
        dict(exif)
        for ifd in _IFDS:  # while the file is open
            with contextlib.suppress(Exception):  # reported by kept_in
                exif.get_ifd(ifd)
        return exif if len(exif) else None
    return None


def exif_of(picture: Image.Image) -> Image.Exif | None:
    """EXIF of a Pillow image; None where there is nothing that can be read."""
    with contextlib.suppress(Exception), quiet():  # as above
        exif = picture.getexif()
        return exif if len(exif) else None
    return None


def orientation_in(exif: Image.Exif | None) -> int:
    """EXIF orientation, 1 to 8; 1 where it is missing or invalid."""
    value = None if exif is None else exif.get(ExifTags.Base.Orientation)
    return value if isinstance(value, int) and value in range(1, 9) else 1


def orientation_of(path: Path, kind: str | None, block: bytes) -> int:
    """EXIF orientation of a file.

    Args:
        path: of the file.
        kind: its format. Of a PNG the chunk is read from the file: it may stand behind the pixels, where decoders look
            only after decoding.
        block: EXIF, of every other format.
    """
    return orientation_in(exif_in(png_chunks(path).get(b"eXIf", b"") if kind == "PNG" else block))


def upright(array: PixelArray, orientation: int) -> PixelArray:
    """(H, W, C) as the EXIF orientation says that it is seen; a view."""
    array = array.swapaxes(0, 1) if orientation >= 5 else array
    return array[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]


def kept_in(exif: Image.Exif) -> tuple[bytes | None, list[str]]:
    """What describes the photograph, without orientation and sizes, and the names of the entries that are damaged."""
    kept, damaged = Image.Exif(), []

    @contextlib.contextmanager
    def named(name: str) -> Iterator[None]:
        try:
            yield
        except Exception:  # as above
            damaged.append(name)

    with quiet():
        for tag in _KEPT_TAGS:
            with named(tag.name):
                kept.update(_writable({tag: exif[tag]}) if tag in exif else {})
        for ifd, names in _IFDS.items():
            entries: dict[int, Any] = {}
            with named(ifd.name):
                entries = {key: value for key, value in exif.get_ifd(ifd).items() if key not in _FILE_TAGS}
            part: dict[int, Any] = {}
            for number, value in entries.items():
                with named(str(names.get(number, number))):
                    part |= _writable({ifd: {number: value}})[ifd]
            if part:
                kept[ifd] = part
        return (kept.tobytes() if len(kept) else None), damaged


def _writable(entries: dict[int, Any]) -> dict[int, Any]:
    """The same entries; raises where Pillow cannot write them."""
    trial = Image.Exif()
    trial.update(entries)
    trial.tobytes()
    return entries


def pictures_in(picture: Image.Image) -> int:
    """How many pictures an opened file holds: frames, pages, or those of a JPEG's Multi-Picture Format (CIPA DC-007).

    Pillow itself does not count those of a JPEG with a gain map.
    """
    index = exif_in(picture.info["mp"]) if "mp" in picture.info else None
    count = getattr(picture, "n_frames", 1) if index is None else index.get(_MP_COUNT, 1)
    return count if isinstance(count, int) else 1


def valid_dpi(dpi: tuple[float, float] | None) -> tuple[float, float] | None:
    """The resolution, or None where no picture can have it."""
    return dpi if dpi is not None and all(0 < value <= _MAX_DPI for value in dpi) else None


def png_resolution(chunk: bytes) -> tuple[float, float] | None:
    """Dots per inch of a pHYs chunk; None where it is no more than an aspect ratio."""
    across, down, is_metric = struct.unpack(">IIB", chunk[:9].ljust(9, b"\0"))
    return (across * METERS_PER_INCH, down * METERS_PER_INCH) if is_metric else None


def resolution_in(exif: Image.Exif | None) -> tuple[float, float] | None:
    """Dots per inch that EXIF states; None where it states none."""
    unit = {2: 1.0, 3: 100 * METERS_PER_INCH}.get(exif.get(ExifTags.Base.ResolutionUnit, 0)) if exif else None
    with contextlib.suppress(Exception):  # as above
        if exif and unit:
            return (float(exif[ExifTags.Base.XResolution]) * unit, float(exif[ExifTags.Base.YResolution]) * unit)
    return None


def with_resolution(block: bytes | None, dpi: tuple[float, float] | None) -> bytes | None:
    """EXIF that states the resolution too, for formats that have no other place for it."""
    if dpi is None:
        return block
    exif = Image.Exif()
    if block is not None:
        exif.load(block)
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = dpi
    exif[ExifTags.Base.ResolutionUnit] = 2
    return exif.tobytes()


def profile_fits(icc: bytes, colours: int) -> bool:
    """Whether a colour profile is one for 1 (grey) or 3 (RGB) channels."""
    return icc[16:20] == {1: b"GRAY", 3: b"RGB "}[colours]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings of odd metadata, which ``kept_in`` reports."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
