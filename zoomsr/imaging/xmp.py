"""XMP of image files: what it says of the photograph is kept, what it says of the file is not. ISO 16684-1:2019."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "adobe:ns:meta/"
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


def kept_xmp(packet: bytes) -> tuple[bytes | None, bool]:
    """The properties that describe the photograph, as a packet, None where there are none; whether it is damaged."""
    try:
        return (_kept(packet) if packet else None), False
    except (Xml.ParseError, ValueError, LookupError, RecursionError):  # LookupError: of an unknown encoding
        return None, True


def _kept(packet: bytes) -> bytes | None:
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise ValueError("entities, which XMP has not, and which may grow without end")
    root = Xml.fromstring(packet.strip(b"\0 \t\r\n"))
    rdf = root if root.tag == f"{{{_RDF}}}RDF" else root.find(f"{{{_RDF}}}RDF")  # what is around it may be missing
    if rdf is None:
        raise ValueError("no RDF")
    meta = Xml.Element(f"{{{_META}}}xmpmeta")
    kept = Xml.SubElement(Xml.SubElement(meta, f"{{{_RDF}}}RDF"), f"{{{_RDF}}}Description", {f"{{{_RDF}}}about": ""})
    for described in rdf.iterfind(f"{{{_RDF}}}Description"):
        kept.attrib |= {name: value for name, value in described.attrib.items() if _is_kept(name)}
        kept.extend(one for one in described if _is_kept(one.tag))
    is_empty = len(kept) == 0 and len(kept.attrib) == 1
    return None if is_empty else _HEAD + Xml.tostring(meta, encoding="utf-8") + _TAIL


def _is_kept(name: str) -> bool:
    return name not in _OF_THE_FILE and name.partition("}")[0].removeprefix("{") in _KEPT.values()
