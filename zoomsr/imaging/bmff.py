"""Metadata of HEIF and AVIF that decoders do not give: the colour space by numbers (nclx), gain maps and depth maps.

ISO/IEC 14496-12 (boxes) and 23008-12 (HEIF: items and their properties).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_SRGB = ((1, 2), (1, 2, 6, 13))  # primaries and transfers (ITU-T H.273) of sRGB, or that are not stated
_AUXILIARY = {"hdrgainmap": "a gain map", "depth": "a depth map", "auxid:2": "a depth map", "matte": "a matte"}


class PrimaryItem(NamedTuple):
    """The primary picture of a file.

    Attributes:
        cicp: content of a PNG's cICP chunk: primaries and transfer by ITU-T H.273, RGB, full range; None of sRGB.
        auxiliary: names of what else belongs to it: gain map, depth map, matte, HDR mastering metadata.
    """

    cicp: bytes | None = None
    auxiliary: tuple[str, ...] = ()

    @staticmethod
    def read(path: Path) -> PrimaryItem:
        """Of a HEIF or AVIF file; empty for every other, and for a damaged one."""
        with path.open("rb") as file, contextlib.suppress(struct.error, IndexError):
            if (head := file.read(8))[4:] == b"ftyp":
                return _in_meta(dict(boxes_in(head + file.read())).get(b"meta", b""))
        return PrimaryItem()

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each of ``auxiliary``."""
        return tuple(f"{name} is in the file, and is left out" for name in self.auxiliary)


def _in_meta(meta: bytes) -> PrimaryItem:
    boxes = dict(boxes_in(meta[4:]))
    properties = dict(boxes_in(boxes.get(b"iprp", b"")))
    contents = list(boxes_in(properties.get(b"ipco", b"")))
    names = [
        name
        for kind, content in contents
        if kind == b"auxC"
        for part, name in _AUXILIARY.items()
        if part in content[4:].split(b"\0")[0].decode("latin-1")
    ]
    if b"tmap" in boxes.get(b"iinf", b""):  # ISO 21496-1
        names.append("a gain map")
    wide = boxes.get(b"pitm", b"\0")[0] > 0
    primary = int.from_bytes(boxes.get(b"pitm", b"")[4 : 8 if wide else 6], "big")
    associated = _of_item(primary, properties.get(b"ipma", b""), contents)
    if any(kind in (b"clli", b"mdcv") for kind, _ in associated):
        names.append("HDR mastering metadata")
    colours = [content for kind, content in associated if kind == b"colr"]
    has_profile = any(content[:4] in (b"prof", b"rICC") for content in colours)
    cicp = None
    for content in colours:
        if content[:4] == b"nclx" and not has_profile:
            primaries, transfer = struct.unpack(">HH", content[4:8])
            is_srgb = primaries in _SRGB[0] and transfer in _SRGB[1]
            cicp = None if is_srgb or max(primaries, transfer) > 255 else bytes((primaries, transfer, 0, 1))
    return PrimaryItem(cicp, tuple(dict.fromkeys(names)))


def boxes_in(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each box."""
    start = 0
    while start + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 16 if size == 1 else 8
        size = int.from_bytes(data[start + 8 : start + 16], "big") if size == 1 else size or len(data) - start
        if size < head:
            return
        yield kind, data[start + head : start + size]
        start += size


def _of_item(item: int, associations: bytes, contents: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The properties of one item, by the ``ipma`` box."""
    version, is_wide = associations[0], associations[3] & 1
    (count,) = struct.unpack_from(">I", associations, 4)
    at = 8
    for _ in range(count):
        (number,) = struct.unpack_from(">I" if version else ">H", associations, at)
        at += 4 if version else 2
        n_properties = associations[at]
        indices = struct.unpack_from(f">{n_properties}{'H' if is_wide else 'B'}", associations, at + 1)
        at += 1 + n_properties * (2 if is_wide else 1)
        if number == item:
            return [contents[place - 1] for index in indices if (place := index & (0x7FFF if is_wide else 0x7F))]
    return []
