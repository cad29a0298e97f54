"""Odd metadata fails no picture: it is kept where it can be, and where it cannot there is a note."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from _support.chunks import chunk
from _support.tiny import photograph
from _support.zooming import Zoom
from PIL import ExifTags, Image, ImageCms

from zoomsr.imaging import files, tiff
from zoomsr.imaging.photo import Photograph

PIXELS = photograph(20, 30)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Little-endian, of (tag, type, count, four bytes or more of values)."""
    start, directory, values = 8 + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, count, data in entries:
        directory += struct.pack("<HHI", tag, kind, count)
        directory += data if len(data) == 4 else struct.pack("<I", start + len(values))
        values += data if len(data) > 4 else b""
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + directory + bytes(4) + values


def _full() -> bytes:
    """Of a camera, with what it says of itself, of the exposure and of the place."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ISOSpeedRatings: 200, ExifTags.Base.UserComment: b"ASCII\0\0\0hello"}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSVersionID: b"\2\3\0\0", ExifTags.GPS.GPSLatitude: (52.0, 3.0, 1.5)}
    return exif.tobytes()


MAKE = (271, 2, 9, b"a camera\0")


@pytest.mark.parametrize(
    ("block", "lost"),
    [
        (_exif(MAKE, (315, 9, 1, b"\xfb\xff\xff\xff")), ""),  # an artist that is a number
        (_exif(MAKE, (33432, 12, 1, struct.pack("<d", float("nan")))), "Copyright"),
        (_exif(MAKE, (274, 2, 2, b"6\0\0\0")), ""),  # an orientation that is a text
        (_exif(MAKE, (282, 5, 1, b"\xff\xff\xff\xff\1\0\0\0"), (283, 5, 1, b"\xff\xff\xff\xff\1\0\0\0")), ""),
        (_exif(MAKE, (34853, 4, 1, b"\x99\x99\x99\x09")), ""),  # GPS beyond the end
        (_exif(MAKE, (305, 2, 2**31, b"\0\0\0\x09")), ""),  # a text beyond the end
        (b"Exif\0\0II*\0\xff\xff\xff\x09", "all entries"),
        (b"Exif\0\0no TIFF in here", "all entries"),
        (b"b'Exif\\x00\\x00MM'", "all entries"),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_damaged_exif(tmp_path: Path, block: bytes, lost: str, suffix: str) -> None:
    if suffix != ".png" and not block.startswith(b"Exif"):
        pytest.skip("only in a PNG has it no head of its own")
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        _png_with(path, chunk(b"eXIf", block.removeprefix(b"Exif\0\0")))
    else:
        Image.fromarray(PIXELS).save(path, exif=block, quality=100, lossless=True)
    found = Photograph.read(path)
    assert found.size == files.size(path) == (20, 30)
    assert files.read(path).shape == (3, 20, 30)
    if lost:
        assert any("EXIF" in note and lost in note for note in found.notes), found.notes
    else:
        assert not any("EXIF" in note for note in found.notes), found.notes
    if lost != "all entries":
        assert found.exif is not None
        assert b"a camera" in found.exif
    for name in ("b.png", "b.jpg", "b.tif", "b.webp"):
        found.write(tmp_path / name)
        assert Photograph.read(tmp_path / name).exif == found.exif


def _png_with(path: Path, chunks: bytes, *, last: bytes = b"", pixels: np.ndarray = PIXELS) -> None:
    """8-bit grey or RGB, with chunks before and behind the pixels."""
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunks + chunk(b"IDAT", zlib.compress(rows)) + last
    path.write_bytes(data + chunk(b"IEND", b""))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_what_is_written_is_read_back_equal(tmp_path: Path, name: str, channels: int, dtype: type) -> None:
    white = np.iinfo(dtype).max
    pixels = np.random.default_rng(5).integers(0, white + 1, (9, 14, channels)).astype(dtype)
    colours = channels - (channels in (2, 4))
    alpha = pixels[..., colours:] if colours < channels else None
    original = Photograph(
        pixels[..., :colours], alpha, icc=ICC if colours == 3 else None, dpi=(300.0, 150.0), exif=_full()
    )
    assert original.write(tmp_path / name) == ()
    back = Photograph.read(tmp_path / name)
    assert back.pixels.dtype == dtype
    assert np.array_equal(back.interleaved, pixels)
    assert (back.icc, back.exif, back.notes) == (original.icc, original.exif, ())
    assert back.dpi == pytest.approx((300, 150), abs=0.02)
    if name == "a.tif":
        assert np.array_equal(tifffile.imread(tmp_path / name), pixels.squeeze())
    with Image.open(tmp_path / "a.png") if name == "a.png" else tifffile.TiffFile(tmp_path / name) as other:
        if isinstance(other, Image.Image):
            assert other.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 200
        else:
            assert other.pages[0].tags["ExifTag"].value["ISOSpeedRatings"] == 200
            assert other.pages[0].tags["Make"].value == "a camera"


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp"])
def test_without_resolution_none_is_invented(tmp_path: Path, name: str) -> None:
    Photograph(PIXELS).write(tmp_path / name)
    back = Photograph.read(tmp_path / name)
    assert (back.dpi, back.exif, back.icc, back.notes) == (None, None, None, ())


def test_a_tiff_for_large_files_has_no_exif_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "BIG_BYTES", 100)
    original = Photograph(PIXELS, icc=ICC, exif=_full())
    assert original.write(tmp_path / "a.tif") == ("a TIFF of more than 4 GB gets no EXIF",)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
        assert np.array_equal(file.asarray(), PIXELS)
    back = Photograph.read(tmp_path / "a.tif")
    assert (back.icc, back.exif, back.dpi) == (ICC, None, None)
    original.write(tmp_path / "a.tif", overwrite=True)
    assert Photograph(PIXELS, dpi=(200.0, 200.0)).write(tmp_path / "b.tif") == ()
    assert Photograph.read(tmp_path / "b.tif").dpi == (200, 200)


@pytest.mark.parametrize(
    ("kind", "value", "is_turned"),
    [(3, b"\6\0\0\0", True), (4, b"\6\0\0\0", True), (2, b"6\0\0\0", False), (3, b"\x09\0\0\0", False)],
)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_an_orientation_is_the_same_for_all(
    tmp_path: Path, suffix: str, kind: int, value: bytes, is_turned: bool
) -> None:
    path, block = tmp_path / f"a{suffix}", _exif(MAKE, (274, kind, 2 if kind == 2 else 1, value))
    Image.fromarray(PIXELS).save(path, exif=block)
    size = (30, 20) if is_turned else (20, 30)
    assert Photograph.read(path).size == files.size(path) == files.read(path).shape[1:] == size


def test_large_exif_is_kept_where_there_is_place(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.UserComment: bytes(80_000)}
    _png_with(tmp_path / "a.png", chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    found = Photograph.read(tmp_path / "a.png")
    assert found.exif is not None
    assert len(found.exif) > 80_000
    for name in ("b.png", "b.tif", "b.webp"):
        assert found.write(tmp_path / name) == ()
        assert Photograph.read(tmp_path / name).exif == found.exif
    (lost,) = found.write(tmp_path / "b.jpg")
    assert lost == f"jpg has no place for {len(found.exif):,} bytes of EXIF"
    assert Photograph.read(tmp_path / "b.jpg").exif is None


def test_exif_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    block = _exif(MAKE, (274, 3, 1, b"\6\0\0\0")).removeprefix(b"Exif\0\0")
    _png_with(tmp_path / "a.png", b"", last=chunk(b"eXIf", block))
    found = Photograph.read(tmp_path / "a.png")
    assert np.array_equal(found.pixels, np.rot90(PIXELS, -1))
    assert files.size(tmp_path / "a.png") == (30, 20)
    assert np.array_equal(files.read(tmp_path / "a.png").permute(1, 2, 0).numpy(), np.rot90(PIXELS, -1))
    assert found.exif is not None


@pytest.mark.parametrize("value", [(0, 1), (1, 0), (2**32 - 1, 1), (1, 2**32 - 1)])
def test_no_resolution_that_a_picture_cannot_have(tmp_path: Path, value: tuple[int, int]) -> None:
    usual = (7777, 1)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", resolution=(usual, usual), resolutionunit="inch")
    data = (tmp_path / "a.tif").read_bytes().replace(struct.pack("<II", *usual), struct.pack("<II", *value))
    (tmp_path / "a.tif").write_bytes(data)
    found = Photograph.read(tmp_path / "a.tif")
    assert np.array_equal(found.pixels, PIXELS)
    if value != (1, 2**32 - 1):
        assert found.dpi is None
        assert found.notes == ("its resolution is none that a picture has, and is left out",)
    for name in ("b.png", "b.jpg", "b.tif", "b.webp"):
        found.write(tmp_path / name)


def test_large_text_in_a_png(tmp_path: Path) -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000)))
    for chunks, last in ((text, b""), (b"", text)):
        _png_with(tmp_path / "a.png", chunks, last=last)
        assert np.array_equal(Photograph.read(tmp_path / "a.png").pixels, PIXELS)
        assert np.array_equal(files.read(tmp_path / "a.png").permute(1, 2, 0).numpy(), PIXELS)
        assert files.size(tmp_path / "a.png") == (20, 30)


def test_what_a_png_says_of_its_colours_is_kept_or_named(tmp_path: Path) -> None:
    colour = {
        b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
        b"gAMA": struct.pack(">I", 100_000),
        b"sRGB": b"\0",
        b"cICP": b"\t\x10\0\1",
    }
    _png_with(tmp_path / "a.png", b"".join(chunk(name, data) for name, data in colour.items()))
    found = Photograph.read(tmp_path / "a.png")
    assert np.array_equal(found.pixels, PIXELS)
    assert found.write(tmp_path / "b.png") == ()
    data = (tmp_path / "b.png").read_bytes()
    for name, value in colour.items():
        assert 0 < data.find(chunk(name, value)) < data.find(b"IDAT")
    for kind in ("jpg", "tif", "webp"):
        lost = found.write(tmp_path / f"b.{kind}")
        assert lost == tuple(
            f"{kind} has no place for its {name}, which says how its colours are to be seen"
            for name in ("cHRM", "gAMA", "sRGB", "cICP")
        )


def test_the_command_says_what_a_format_has_no_place_for(zoom: Zoom, tmp_path: Path) -> None:
    _png_with(tmp_path / "a.png", chunk(b"gAMA", struct.pack(">I", 100_000)))
    assert "a.png: webp has no place for its gAMA, which says how" in zoom("a.png", "-m", "bicubic", "-o", "b.webp")
    zoom("a.png", "-m", "bicubic", "-o", "b.png")
    assert chunk(b"gAMA", struct.pack(">I", 100_000)) in (tmp_path / "b.png").read_bytes()


def test_a_picture_of_pillows_with_damaged_exif_or_resolution() -> None:
    picture = Image.fromarray(PIXELS)
    picture.info |= {"exif": b"Exif\0\0II*\0\xff\xff\xff\x09", "dpi": (float("inf"), 0), "icc_profile": b"no profile"}
    found = Photograph.of(picture)
    assert np.array_equal(found.pixels, PIXELS)
    assert (found.exif, found.dpi, found.icc) == (None, None, None)


def test_a_profile_for_other_pixels_is_left_out(tmp_path: Path) -> None:
    grey = bytearray(ICC)
    grey[16:20] = b"GRAY"
    note = ("its colour profile is not for such pixels, and is left out",)
    palette = Image.fromarray(PIXELS[..., 0]).quantize(16)
    for name in ("palette.png", "rgb.jpg", "rgb.tif", "rgb.webp"):
        (palette if name.startswith("p") else Image.fromarray(PIXELS)).save(tmp_path / name, icc_profile=bytes(grey))
        found = Photograph.read(tmp_path / name)
        assert (found.icc, found.notes) == (None, note), name
    Image.fromarray(PIXELS[..., 0]).save(tmp_path / "grey.tif", icc_profile=ICC)
    assert Photograph.read(tmp_path / "grey.tif").notes == note
    Image.fromarray(PIXELS[..., 0]).save(tmp_path / "right.tif", icc_profile=bytes(grey))
    assert Photograph.read(tmp_path / "right.tif").icc == bytes(grey)
