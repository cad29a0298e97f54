"""Pictures that are never in memory as a whole give what those give that are."""

from __future__ import annotations

import resource
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

from zoomsr.imaging import decode, files, tiff
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.inference import batch
from zoomsr.inference.out_of_core import read_region


@pytest.fixture(autouse=True)
def _small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_PIXELS", 1000)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_by_parts_as_in_one_piece(
    zoom: Zoom,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: type,
    channels: int,
) -> None:
    pixels = photograph(70, 90)[..., :channels].astype(dtype) * (257 if dtype == np.uint16 else 1)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if channels == 3 else None
    Photograph(pixels, icc=icc, dpi=(200.0, 200.0)).write(tmp_path / "a.tif")
    zoom("a.tif", "-m", "srcnn", "-o", "parts.tif", "--tile", "32")
    monkeypatch.setattr(batch, "MAX_PIXELS", 10**6)
    zoom("a.tif", "-m", "srcnn", "-o", "whole.tif", "--tile", "32")
    parts, whole = (Photograph.read(tmp_path / f"{name}.tif") for name in ("parts", "whole"))
    assert parts.pixels.dtype == dtype
    assert np.array_equal(parts.pixels, whole.pixels)
    assert parts.dpi == pytest.approx((200, 200))
    assert parts.icc == whole.icc
    with tifffile.TiffFile(tmp_path / "parts.tif") as file:
        assert file.pages[0].is_tiled


@pytest.mark.parametrize("kind", ["rgba", "grey alpha", "cmyk", "rotated", "planar"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_a_file_knows_survives(
    zoom: Zoom,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dtype: type,
    kind: str,
) -> None:
    pixels = np.dstack([photograph(40, 50), photograph(40, 50, seed=1)[..., :1]]).astype(dtype)
    pixels = pixels * (257 if dtype == np.uint16 else 1)
    stored = {"grey alpha": pixels[..., 2:], "rotated": pixels[..., :3], "planar": pixels[..., :3]}.get(kind, pixels)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored.transpose(2, 0, 1) if kind == "planar" else stored,
        photometric={"cmyk": "separated", "grey alpha": "minisblack"}.get(kind, "rgb"),
        planarconfig="separate" if kind == "planar" else "contig",
        extrasamples=["unassalpha"] if kind in ("rgba", "grey alpha") else None,
        resolution=(200, 200),
        resolutionunit="inch",
        extratags=[(274, "H", 1, 6 if kind == "rotated" else 1, True), (271, "s", 0, "a camera", True)],
        metadata=None,
    )
    zoom("a.tif", "-m", "bicubic", "-o", "parts.tif", "--tile", "16")
    zoom("a.tif", "-m", "bicubic", "--box", "8,4,20,12", "-o", "area parts.png")
    monkeypatch.setattr(batch, "MAX_PIXELS", 10**6)
    zoom("a.tif", "-m", "bicubic", "-o", "whole.tif", "--tile", "16")
    zoom("a.tif", "-m", "bicubic", "--box", "8,4,20,12", "-o", "area whole.png")
    for one, other in (("parts.tif", "whole.tif"), ("area parts.png", "area whole.png")):
        parts, whole = Photograph.read(tmp_path / one), Photograph.read(tmp_path / other)
        assert parts.pixels.dtype == dtype
        assert np.array_equal(parts.interleaved, whole.interleaved)
        assert (parts.alpha is not None) == (kind in ("rgba", "grey alpha"))
        assert parts.exif == whole.exif
        assert parts.exif is not None
        assert parts.dpi == pytest.approx((200, 200), abs=0.02)


def test_what_is_left_out_is_said(zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "BIG_BYTES", 1000)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera"
    Image.fromarray(photograph(40, 50)).convert("CMYK").save(tmp_path / "a.tif", exif=exif)
    said = zoom("a.tif", "-m", "bicubic", "-o", "b.tif")
    assert "a.tif: CMYK became RGB" in said
    assert "a TIFF of more than 4 GB gets no EXIF" in said
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.is_bigtiff


def _promise(path: Path, width: int, height: int, *, depth: int = 8, interlaced: bool = False) -> None:
    """A PNG of a few bytes whose header promises many."""
    head = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, interlaced)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


@pytest.mark.parametrize(
    ("width", "height", "options", "words"),
    [
        (20_000, 20_000, {"interlaced": True}, "has more than 178,956,970 pixels"),
        (16_777_272, 40, {"depth": 16}, "has more than 178,956,970 pixels"),
        (40_000, 40_000, {}, "is damaged or truncated"),  # row by row, of which there are none
    ],
)
def test_what_a_header_promises_takes_no_memory(
    zoom: Zoom,
    tmp_path: Path,
    width: int,
    height: int,
    options: dict[str, int],
    words: str,
) -> None:
    _promise(tmp_path / "a.png", width, height, **options)  # type: ignore[arg-type]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for arguments in (("-o", "b.tif"), ("--box", "0,0,8,8")):
        assert f"error: a.png {words}" in zoom("a.png", "-m", "bicubic", *arguments, code=1)
    for read in (Photograph.read, files.read):
        with pytest.raises(ValueError, match=r"a\.png has more than 178,956,970 pixels"):
            read(tmp_path / "a.png")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.png"]


@pytest.mark.parametrize(
    ("rows", "tile", "is_large"),
    [(70, None, True), (2, None, False), (1, (64, 96), True), (1, (16, 16), False)],
)
def test_one_part_of_all_is_decoded_as_a_whole(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
    tile: tuple[int, int] | None,
    is_large: bool,
) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", 1100)
    tifffile.imwrite(tmp_path / "a.tif", photograph(70, 90), photometric="rgb", rowsperstrip=rows, tile=tile)
    if is_large:
        with pytest.raises(ValueError, match=r"a\.tif has more than 1,100 pixels"):
            read_region(tmp_path / "a.tif", CropBox(3, 5, 9, 8))
    else:
        assert np.array_equal(
            read_region(tmp_path / "a.tif", CropBox(3, 5, 9, 8)).pixels, photograph(70, 90)[5:13, 3:12]
        )


def test_an_area_needs_no_more_than_the_area(zoom: Zoom, tmp_path: Path) -> None:
    pixels = photograph(70, 90)
    Photograph(pixels).write(tmp_path / "a.tif")
    zoom("a.tif", "-m", "bicubic", "--box", "10,20,30,16", "-o", "area.png")
    Photograph(pixels[20:36, 10:40]).write(tmp_path / "cut.png")
    zoom("cut.png", "-m", "bicubic")
    areas = [Photograph.read(tmp_path / name).pixels for name in ("area.png", "cut-x2.png")]
    assert np.array_equal(*areas)
    assert "a.tif: box 80,0,30,16 is not inside" in zoom("a.tif", "-m", "bicubic", "--box", "80,0,30,16", code=1)


def test_what_cannot_be_is_one_line_and_leaves_nothing(zoom: Zoom, tmp_path: Path) -> None:
    Image.fromarray(photograph(70, 90)).save(tmp_path / "a.tif")
    assert "only a TIFF can hold the result, -o FILE.tif" in zoom("a.tif", "-m", "bicubic", code=1)
    passes = "360x280, which is not one pass of srcnn, goes with --box"
    assert passes in zoom("a.tif", "-m", "srcnn", "--scale", "4", "-o", "b.tif", code=1)
    Image.fromarray(photograph(300, 400)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:90_000])
    assert "error: cut.png is damaged or truncated: " in zoom("cut.png", "-m", "bicubic", "-o", "b.tif", code=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "cut.png", "weights"]


def test_a_picture_that_pillow_takes_for_a_bomb_goes_through(
    zoom: Zoom,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    Photograph(photograph(70, 90)).write(tmp_path / "a.tif")
    zoom("a.tif", "-m", "bicubic", "-o", "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages[0].shape == (140, 180, 3)
    assert Image.MAX_IMAGE_PIXELS == 500
