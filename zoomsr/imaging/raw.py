"""Camera raw, developed by rawpy (LibRaw): read only."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from PIL import Image

from zoomsr.imaging.libvips import reading
from zoomsr.imaging.metadata import exif_in, exif_of, kept_in
from zoomsr.imaging.stored import Decoded, Stored, library

SUFFIXES = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw"),
    *(".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
)

_TIFF = (b"II*\0", b"MM\0*")
_HEADS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILM", b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR")
_DNG_VERSION = 50706  # a TIFF tag
_TURNED = (5, 6)  # by 90 degrees, in LibRaw's numbers
_NO_BALANCE = "it has no white balance of the camera: that of daylight is taken"
_NO_EXIF = "no EXIF can be read from it"


def is_raw(head: bytes, path: Path) -> bool:
    """Whether a file is raw, by its first bytes; of a TIFF by its suffix, or as a DNG by its tags."""
    if head.startswith(_TIFF):
        return path.suffix.lower() in SUFFIXES or _DNG_VERSION in (_tags(path) or {})
    return head.startswith(_HEADS) or head[4:12] == b"ftypcrx "


def opened(path: Path) -> Stored:
    """The picture as LibRaw renders it: the camera's white balance, sRGB, 16 bit, upright.

    White is the sensor's: there is no curve like that of the camera's own JPEG, which is mostly brighter.

    Raises:
        ValueError: damaged, not supported, or rawpy is not installed.
    """
    rawpy = library("rawpy", path)
    with reading(path), rawpy.RawPy() as raw:
        raw.open_file(str(path))
        sizes, is_grey = raw.sizes, raw.num_colors == 1
        exif = _tags(path) or _exif_of_preview(raw)
    block = None if exif is None else kept_in(exif)[0]

    def decode() -> Decoded:
        with rawpy.imread(str(path)) as raw:
            notes = [] if is_grey or raw.camera_whitebalance[0] > 0 else [_NO_BALANCE]
            pixels = raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16, gamma=(2.4, 12.92))
        return Decoded(pixels, (*notes, *([_NO_EXIF] if block is None else [])))

    size = (sizes.iwidth, sizes.iheight) if sizes.flip in _TURNED else (sizes.iheight, sizes.iwidth)
    return Stored(size, is_grey, decode, exif=block)


def _tags(path: Path) -> Image.Exif | None:
    """Of a TIFF, which most raw files are; None of every other."""
    with path.open("rb") as file:
        return exif_in(file)


def _exif_of_preview(raw: Any) -> Image.Exif | None:
    """Of the JPEG in an opened raw file; None where there is none."""
    with contextlib.suppress(Exception), Image.open(io.BytesIO(raw.extract_thumb().data)) as picture:  # of any type
        return exif_of(picture)
    return None
