"""Writing TIFF: by libvips, which writes no EXIF there; its entries are added. Adobe, "TIFF 6.0", 1992."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, NamedTuple

from PIL import Image, TiffImagePlugin

from zoomsr.imaging.libvips import libvips
from zoomsr.imaging.metadata import Description

BIG_BYTES = 2**32 - 2**26
"""A file with more bytes of pixels becomes a BigTIFF, which gets no EXIF."""

NO_EXIF = "a TIFF of more than 4 GB gets no EXIF"

_RESOLUTION = (282, 283, 296)  # tags
_BIG_VERSION = 43


class _Form(NamedTuple):
    """Position of the first directory's offset (and length of an offset), types of numbers, bytes of an entry."""

    at: int
    offset: str
    number: str
    entry: int


_CLASSIC, _BIG = _Form(4, "I", "H", 12), _Form(8, "Q", "Q", 20)


def write_tiff(file: BinaryIO, image: Any, description: Description, *, tiled: bool = False) -> None:
    """Write a picture, compressed by deflate.

    Args:
        file: a new one, open for reading and writing.
        image: of libvips, see ``zoomsr.imaging.libvips.as_vips``.
        description: metadata.
        tiled: in tiles, for pictures that are too large to be read as a whole.
    """
    image, blocks = image.copy(), {"icc-profile-data": description.icc, "xmp-data": description.xmp}
    for field, block in blocks.items():
        if block is not None:
            image.set_type(libvips().GValue.blob_type, field, block)
        else:
            image.remove(field)
    target = libvips().Target.new_to_descriptor(file.fileno())
    options = {"compression": "deflate", "predictor": "horizontal", "resunit": "inch", "tile": tiled}
    image.tiffsave_target(target, keep="icc|xmp", bigtiff=is_big(image), **options)
    _describe(file, description)


def is_big(image: Any) -> bool:
    """Whether a libvips image becomes a BigTIFF, which gets no EXIF."""
    n_bytes: int = image.width * image.height * image.bands * (2 if image.format == "ushort" else 1)
    return n_bytes > BIG_BYTES


def _describe(file: BinaryIO, description: Description) -> None:
    """Append a new directory: that of libvips, with EXIF, and without the resolution where none is known."""
    file.seek(0)
    order = {b"II": "<", b"MM": ">"}[file.read(2)]
    (version,) = struct.unpack(order + "H", file.read(2))
    form = _BIG if version == _BIG_VERSION else _CLASSIC
    file.seek(form.at)
    file.seek(*struct.unpack(order + form.offset, file.read(form.at)))
    (count,) = struct.unpack(order + form.number, file.read(struct.calcsize(order + form.number)))
    entries = [file.read(form.entry) for _ in range(count)]
    if description.dpi is None:
        entries = [entry for entry in entries if struct.unpack(order + "H", entry[:2])[0] not in _RESOLUTION]
    start = file.seek(0, 2)
    start += start % 2
    added, values = _exif(description.exif if form is _CLASSIC else None, order, start + form.entry * len(entries))
    entries = sorted(entries + added, key=lambda entry: int(struct.unpack(order + "H", entry[:2])[0]))
    file.seek(start)
    file.write(struct.pack(order + form.number, len(entries)) + b"".join(entries) + bytes(form.at) + values)
    file.seek(form.at)
    file.write(struct.pack(order + form.offset, start))


def _exif(block: bytes | None, order: str, start: int) -> tuple[list[bytes], bytes]:
    """The entries of EXIF, and their values, which follow a directory at ``start``."""
    if block is None:
        return [], b""
    exif = Image.Exif()
    exif.load(block)
    head = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    directory = TiffImagePlugin.ImageFileDirectory_v2(ifh=head)
    for tag in exif:
        directory[tag] = exif.get_ifd(tag) if tag in (0x8769, 0x8825) else exif[tag]
    data = directory.tobytes(start)
    (count,) = struct.unpack(order + "H", data[:2])
    end = 2 + 12 * count
    return [data[i : i + 12] for i in range(2, end, 12)], data[end + 4 :]
