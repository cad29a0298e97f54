"""IPTC-IIM, the older form of captions and keywords, as XMP, which every format has a place for.

IIM 4.2, chapters 5 and 6; the properties are those of the IPTC Photo Metadata Standard 2025.1.
"""

from __future__ import annotations

import re
import struct
from itertools import takewhile

from zoomsr.imaging.xmp import Property

IIM = 0x0404
"""Number of Photoshop's resource that holds it."""

# Datasets of record 2: the property, and the array that XMP makes of it.
_PROPERTIES = {
    5: ("dc:title", "Alt"),
    25: ("dc:subject", "Bag"),
    40: ("photoshop:Instructions", None),
    80: ("dc:creator", "Seq"),
    85: ("photoshop:AuthorsPosition", None),
    90: ("photoshop:City", None),
    92: ("Iptc4xmpCore:Location", None),
    95: ("photoshop:State", None),
    100: ("Iptc4xmpCore:CountryCode", None),
    101: ("photoshop:Country", None),
    103: ("photoshop:TransmissionReference", None),
    105: ("photoshop:Headline", None),
    110: ("photoshop:Credit", None),
    115: ("photoshop:Source", None),
    116: ("dc:rights", "Alt"),
    120: ("dc:description", "Alt"),
    122: ("photoshop:CaptionWriter", None),
}
_DATE, _TIME = 55, 60
_RECORD = 2
_PHOTOSHOP, _RESOURCE, _MARK = b"Photoshop 3.0\0", b"8BIM", 0x1C
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def iptc_properties(block: bytes) -> tuple[list[Property], bool]:
    """What describes the photograph; whether the block is cut off, or goes on otherwise.

    Args:
        block: IIM itself, as in a TIFF, or Photoshop's resources around it, as in a JPEG.
    """
    found, is_damaged = _texts(_iim_in(block))
    properties = [
        Property(name, found[number], array) for number, (name, array) in _PROPERTIES.items() if number in found
    ]
    if date := _date(*(found.get(number, [""])[0] for number in (_DATE, _TIME))):
        properties.append(Property("photoshop:DateCreated", [date]))
    return properties, is_damaged


def _iim_in(block: bytes) -> bytes:
    if not block.startswith(_PHOTOSHOP):
        return block
    at = len(_PHOTOSHOP)
    while block.startswith(_RESOURCE, at) and at + 12 <= len(block):
        kind = int.from_bytes(block[at + 4 : at + 6], "big")
        at += 6 + (block[at + 6] + 2) // 2 * 2  # its name, with the length before it, has an even size
        size = int.from_bytes(block[at : at + 4], "big")
        if kind == IIM:
            return block[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return b""


def _texts(iim: bytes) -> tuple[dict[int, list[str]], bool]:
    """Those of record 2 by their numbers; whether they are cut off, or something else follows."""
    found: dict[int, list[str]] = {}
    at = 0
    while at + 5 <= len(iim) and iim[at] == _MARK:
        record, number, size = struct.unpack_from(">BBH", iim, at + 1)
        at += 5
        if size & 0x8000:  # of the size itself, which follows
            start, at = at, at + (size & 0x7FFF)
            size = int.from_bytes(iim[start:at], "big")
        if at + size > len(iim):
            return found, True
        if record == _RECORD and (text := _text(iim[at : at + size])):
            found.setdefault(number, []).append(text)
        at += size
    return found, bool(iim[at:].strip(b"\0"))


def _text(value: bytes) -> str:
    """Few programs state an encoding, and some a wrong one; what is UTF-8 is hardly anything else."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return _NO_XML.sub("", text).strip()


def _date(date: str, time: str) -> str:
    """CCYYMMDD, of which month and day may be 00, and HHMMSS+HHMM, as ISO 8601; empty where it is none."""
    day = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", date, re.ASCII)
    known = list(takewhile(int, day.groups())) if day else []
    clock = re.fullmatch(r"(\d\d)(\d\d)(\d\d)([+-]\d\d)(\d\d)", time, re.ASCII) if len(known) == 3 else None
    return "-".join(known) + ("" if clock is None else "T{}:{}:{}{}:{}".format(*clock.groups()))
