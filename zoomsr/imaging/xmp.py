"""XMP of image files: what it says of the photograph is kept, what it says of the file is not. ISO 16684-1:2019."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree as Xml

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "adobe:ns:meta/"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
# Title, author, rights, keywords, rating, place. Others are of the file (tiff, exif), of its other pictures (a gain
# map, a motion photo), of edits to it (crs, xmpMM), or their own.
_KEPT = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "cc": "http://creativecommons.org/ns#",
}
_OF_THE_FILE = {
    *(f"{{{_KEPT['dc']}}}format", f"{{{_KEPT['xmp']}}}Thumbnails", f"{{{_KEPT['photoshop']}}}ColorMode"),
    *(f"{{{_KEPT['photoshop']}}}{name}" for name in ("ICCProfile", "DocumentAncestors", "TextLayers", "History")),
}
_HEAD = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL = b'\n<?xpacket end="w"?>'

for _prefix, _name in {"x": _META, "rdf": _RDF, **_KEPT}.items():
    Xml.register_namespace(_prefix, _name)


class Property(NamedTuple):
    """What an older form of metadata says, for XMP.

    Attributes:
        name: as ``dc:title``.
        texts: one or more.
        array: of XMP that holds them, ``Alt``, ``Bag`` or ``Seq``; None: no array, but a text.
    """

    name: str
    texts: Sequence[str]
    array: str | None = None


def kept_xmp(packet: bytes, older: Sequence[Property] = ()) -> tuple[bytes | None, bool]:
    """The properties that describe the photograph, as a packet, None where there are none; whether it is damaged.

    Args:
        packet: of XMP, or nothing.
        older: kept where the packet does not have the same property.
    """
    try:
        return _kept(packet, older), False
    except (Xml.ParseError, ValueError, LookupError, RecursionError):  # LookupError: of an unknown encoding
        return _kept(b"", older), True


def _kept(packet: bytes, older: Sequence[Property]) -> bytes | None:
    meta = Xml.Element(f"{{{_META}}}xmpmeta")
    kept = Xml.SubElement(Xml.SubElement(meta, f"{{{_RDF}}}RDF"), f"{{{_RDF}}}Description", {f"{{{_RDF}}}about": ""})
    for described in _described(packet) if packet else ():
        kept.attrib |= {name: value for name, value in described.attrib.items() if _is_kept(name)}
        kept.extend(one for one in described if _is_kept(one.tag))
    for given in older:
        prefix, _, name = given.name.partition(":")
        tag = f"{{{_KEPT[prefix]}}}{name}"
        if tag not in kept.attrib and kept.find(tag) is None:
            _add(kept, tag, given)
    is_empty = len(kept) == 0 and len(kept.attrib) == 1
    return None if is_empty else _HEAD + Xml.tostring(meta, encoding="utf-8") + _TAIL


def _described(packet: bytes) -> list[Xml.Element]:
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise ValueError("entities, which XMP has not, and which may grow without end")
    root = Xml.fromstring(packet.strip(b"\0 \t\r\n"))
    rdf = root if root.tag == f"{{{_RDF}}}RDF" else root.find(f"{{{_RDF}}}RDF")  # what is around it may be missing
    if rdf is None:
        raise ValueError("no RDF")
    return rdf.findall(f"{{{_RDF}}}Description")


def _is_kept(name: str) -> bool:
    return name not in _OF_THE_FILE and name.partition("}")[0].removeprefix("{") in _KEPT.values()


def _add(kept: Xml.Element, tag: str, given: Property) -> None:
    place = Xml.SubElement(kept, tag)
    if given.array is None:
        place.text = given.texts[0]
        return
    items = Xml.SubElement(place, f"{{{_RDF}}}{given.array}")
    is_alternative = given.array == "Alt"  # the same in several languages
    for text in given.texts[:1] if is_alternative else given.texts:
        Xml.SubElement(items, f"{{{_RDF}}}li", {_LANGUAGE: "x-default"} if is_alternative else {}).text = text
