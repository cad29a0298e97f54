"""IPTC-IIM: captions and keywords of a file without XMP go along as XMP."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from _support.tiny import photograph
from PIL import Image, TiffImagePlugin

from zoomsr.imaging.iptc import Property, iptc_properties
from zoomsr.imaging.photo import Photograph

PIXELS = photograph(20, 30)
IIM_TAG, BYTES = 33723, 7  # of a TIFF


def _dataset(number: int, value: bytes, record: int = 2) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


def _resource(kind: int, data: bytes, name: bytes = b"") -> bytes:
    named = bytes([len(name)]) + name
    return b"8BIM" + struct.pack(">H", kind) + named + bytes(len(named) % 2) + struct.pack(">I", len(data)) + data


def _jpeg(iim: bytes, *, xmp: bytes = b"") -> bytes:
    """A JPEG with IIM behind another resource, which has a name and an odd size."""
    block = b"Photoshop 3.0\0" + _resource(0x0BB7, b"odd", b"ab") + b"\0" + _resource(0x0404, iim)
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", xmp=xmp)
    return file.getvalue()[:2] + b"\xff\xed" + struct.pack(">H", len(block) + 2) + block + file.getvalue()[2:]


def _texts(packet: bytes | None) -> dict[str, list[str | None]]:
    """The texts of each property by its local name."""
    assert packet is not None
    (described,) = Xml.fromstring(packet.decode().partition("?>")[2].rpartition("<?")[0])[0]
    found = {one.tag.rpartition("}")[2]: [text.text for text in one.iter() if text.text] for one in described}
    return found | {name.rpartition("}")[2]: [value] for name, value in described.attrib.items() if value}


IIM = b"".join(
    [
        _dataset(90, b"\x1b%G", record=1),
        _dataset(0, b"\0\4"),
        _dataset(5, "Öl & Gitter".encode()),
        _dataset(25, b"lattice"),
        _dataset(25, b"iron"),
        _dataset(55, b"19630809"),
        _dataset(60, b"071500+0100"),
        _dataset(80, b"A. Photographer"),
        _dataset(90, b"Wien"),
        _dataset(116, "© A. Photographer".encode()),
        _dataset(120, b"A caption\x00 of\rtwo lines"),
        _dataset(15, b"a category, which nobody uses"),
    ]
)
SAID = {
    "title": ["Öl & Gitter"],
    "subject": ["lattice", "iron"],
    "creator": ["A. Photographer"],
    "City": ["Wien"],
    "rights": ["© A. Photographer"],
    "description": ["A caption of\ntwo lines"],
    "DateCreated": ["1963-08-09T07:15:00+01:00"],
}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_it_goes_along_as_xmp(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "agency.jpg").write_bytes(_jpeg(IIM))
    photo = Photograph.read(tmp_path / "agency.jpg")
    assert photo.notes == ()
    assert photo.write(tmp_path / f"written{suffix}") == ()
    assert _texts(Photograph.read(tmp_path / f"written{suffix}").xmp) == SAID


def test_of_a_tiff_and_of_a_picture_of_pillows(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[IIM_TAG], tags[IIM_TAG] = BYTES, IIM
    Image.fromarray(PIXELS).save(tmp_path / "scan.tif", tiffinfo=tags)
    assert _texts(Photograph.read(tmp_path / "scan.tif").xmp) == SAID
    with Image.open(io.BytesIO(_jpeg(IIM))) as picture:
        assert _texts(Photograph.of(picture.convert("L")).xmp) == SAID
        picture.info = {"photoshop": "a text of a PNG"}
        assert Photograph.of(picture).xmp is None


def test_what_xmp_says_is_not_replaced(tmp_path: Path) -> None:
    said = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
        xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
        photoshop:City="Vienna"><dc:subject><rdf:Bag><rdf:li>newer</rdf:li></rdf:Bag></dc:subject>
        </rdf:Description></rdf:RDF>"""
    (tmp_path / "both.jpg").write_bytes(_jpeg(IIM, xmp=said.encode()))
    photo = Photograph.read(tmp_path / "both.jpg")
    assert _texts(photo.xmp) == SAID | {"City": ["Vienna"], "subject": ["newer"]}
    assert photo.notes == ()
    (tmp_path / "damaged.jpg").write_bytes(_jpeg(IIM, xmp=said.encode()[:-20]))
    photo = Photograph.read(tmp_path / "damaged.jpg")
    assert _texts(photo.xmp) == SAID
    assert photo.notes == ("its XMP is damaged, and left out",)


def test_damage_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(_jpeg(IIM[: IIM.index(b"Photographer")]))
    photo = Photograph.read(tmp_path / "cut.jpg")
    assert _texts(photo.xmp) == {name: SAID[name] for name in ("title", "subject", "DateCreated")}
    assert photo.notes == ("its IPTC is damaged, and left out from there on",)


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (b"", ([], False)),
        (b"Photoshop 3.0\0", ([], False)),
        (b"Photoshop 3.0\0" + _resource(0x0404, b""), ([], False)),
        (b"Photoshop 3.0\0" + _resource(0x03ED, b"even") + b"8BIM\4\4\0", ([], False)),
        (b"no IIM", ([], True)),
        (_dataset(5, b" \0 "), ([], False)),
        (_dataset(5, b"a") + bytes(3), ([Property("dc:title", ["a"], "Alt")], False)),
        (_dataset(5, "Öl".encode("latin-1")), ([Property("dc:title", ["Öl"], "Alt")], False)),
        (b"\x1c\2\x69\x80\4\0\0\0\1a", ([Property("photoshop:Headline", ["a"])], False)),  # a size of four bytes
        (b"\x1c\2\x69\x80\4\x7f\0\0\1a", ([], True)),
    ],
)
def test_odd_blocks(block: bytes, found: tuple[list[Property], bool]) -> None:
    assert iptc_properties(block) == found


@pytest.mark.parametrize(
    ("date", "time", "said"),
    [
        (b"19630809", b"", "1963-08-09"),
        (b"19630800", b"071500+0100", "1963-08"),
        (b"19630009", b"", "1963"),
        (b"19630809", b"noon", "1963-08-09"),
        (b"00000000", b"071500+0100", None),
        (b"yesterday", b"", None),
    ],
)
def test_dates_are_as_exact_as_they_are_known(date: bytes, time: bytes, said: str | None) -> None:
    found, _ = iptc_properties(_dataset(55, date) + _dataset(60, time))
    assert found == ([] if said is None else [Property("photoshop:DateCreated", [said])])
