"""XMP: what describes the photograph goes along into every format, what is of its file does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from _support.tiny import photograph
from PIL import Image

from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.xmp import kept_xmp

PIXELS = photograph(20, 30)
PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
   xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"
   xmp:Rating="4" tiff:Orientation="6" photoshop:City="\u00d6lberg" photoshop:ColorMode="3" GCamera:MotionPhoto="1"/>
 <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/">
  <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">\u00a9 A. Photographer</rdf:li></rdf:Alt></dc:rights>
  <dc:subject><rdf:Bag><rdf:li>lattice</rdf:li><rdf:li>iron &amp; rust</rdf:li></rdf:Bag></dc:subject>
  <dc:format>image/jpeg</dc:format>
  <xmpMM:History><rdf:Seq><rdf:li><rdf:Description dc:title="of an edit"/></rdf:li></rdf:Seq></xmpMM:History>
 </rdf:Description>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()
KEPT = ("Rating", "4", "City", "\u00d6lberg", "x-default", "\u00a9 A. Photographer", "lattice", "iron &amp; rust")
LEFT_OUT = ("Orientation", "ColorMode", "MotionPhoto", "image/jpeg", "of an edit")


def _kept(packet: bytes) -> bytes:
    kept, is_damaged = kept_xmp(packet)
    assert kept is not None
    assert not is_damaged
    return kept


def test_what_describes_the_photograph_is_kept() -> None:
    kept = _kept(PACKET)
    text = kept.decode()
    assert [word for word in KEPT if word not in text] == []
    assert [word for word in LEFT_OUT if word in text] == []
    assert _kept(kept) == kept
    bare = PACKET[PACKET.index(b"<rdf:RDF") : PACKET.index(b"</x:xmpmeta>")]
    assert _kept(bare + b"\0\0 \n") == kept


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif", ".heic", ".jxl"])
def test_it_goes_along_into_every_format(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "camera.jpg", xmp=PACKET)
    photo = Photograph.read(tmp_path / "camera.jpg")
    assert (photo.xmp, photo.notes) == (_kept(PACKET), ())
    path = tmp_path / f"written{suffix}"
    assert photo.write(path) == ()
    again = Photograph.read(path)
    assert (again.xmp, again.notes) == (photo.xmp, ())
    if suffix in (".jpg", ".png", ".tif", ".webp", ".avif"):
        with Image.open(path) as other:
            assert other.info["xmp"] == photo.xmp


def test_a_picture_of_pillows(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "camera.jpg", xmp=PACKET)
    with Image.open(tmp_path / "camera.jpg") as picture:
        assert Photograph.of(picture).xmp == _kept(PACKET)


@pytest.mark.parametrize(
    "packet",
    [
        b"no XMP",
        b"<x:xmpmeta",
        b"<html/>",
        PACKET.replace(b"</dc:subject>", b""),
        PACKET.replace(b"lattice", b"<a>" * 9_000 + b"</a>" * 9_000),
        b'<!DOCTYPE x [<!ENTITY a "aa">]>' + PACKET.partition(b"?>")[2],
        b'<?xml version="1.0" encoding="nonsense"?><a/>',
    ],
)
def test_damage_is_a_note(tmp_path: Path, packet: bytes) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "camera.jpg", xmp=packet)
    photo = Photograph.read(tmp_path / "camera.jpg")
    assert (photo.xmp, photo.notes) == (None, ("its XMP is damaged, and left out",))


def test_without_any_none_is_written(tmp_path: Path) -> None:
    nothing = PACKET[: PACKET.index(b" <rdf:Description")] + PACKET[PACKET.index(b"</rdf:RDF>") :]
    Image.fromarray(PIXELS).save(tmp_path / "camera.jpg", xmp=nothing)
    photo = Photograph.read(tmp_path / "camera.jpg")
    assert (photo.xmp, photo.notes) == (None, ())
    for name in ("a.png", "a.tif", "a.jpg"):
        photo.write(tmp_path / name)
        assert b"xmpmeta" not in (tmp_path / name).read_bytes()


def test_more_than_a_segment_of_a_jpeg_is_named(tmp_path: Path) -> None:
    long = PACKET.replace(b"lattice", b"lattice" * 10_000)
    Image.fromarray(PIXELS).save(tmp_path / "a.webp", xmp=long, lossless=True)
    photo = Photograph.read(tmp_path / "a.webp")
    (lost,) = photo.write(tmp_path / "b.jpg")
    assert lost == f"jpg has no place for {len(_kept(long)):,} bytes of XMP"
    assert Photograph.read(tmp_path / "b.jpg").xmp is None
    assert photo.write(tmp_path / "b.png") == ()
    assert Photograph.read(tmp_path / "b.png").xmp == _kept(long)
