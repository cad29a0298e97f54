"""Formats by name, for folders; JPEG by any of its suffixes; AVIF; the extra's formats; several pictures in a file."""

from __future__ import annotations

import importlib.util
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from _support.dng import write_dng
from _support.tiny import photograph
from _support.zooming import Zoom
from PIL import Image, ImageCms, features

from zoomsr.imaging.libvips import as_vips, libvips
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.route import Route

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="the installed Pillow knows no AVIF")
needs_extra = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("pillow_heif", "pyjpegxl", "rawpy")),
    reason="not all of its libraries are installed: pip install zoomsr[formats]",
)


def _gradient(height: int, width: int) -> np.ndarray:
    """Smooth colours, which lossy formats keep."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 255 // height, columns * 255 // width, rows + columns], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("jpg", "JPEG"), ("JPEG", "JPEG"), ("jfif", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("tiff", "TIFF")),
        pytest.param("avif", "AVIF", marks=needs_avif),
    ],
)
def test_a_folder_in_one_format(zoom: Zoom, tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "trip").mkdir()
    pixels = _gradient(30, 40)
    for file in ("a.jfif", "b.png"):
        Image.fromarray(pixels).save(tmp_path / "trip" / file)
    zoom("trip", "-m", "bicubic", "--format", name)
    assert sorted(path.name for path in (tmp_path / "trip-x2").iterdir()) == [
        f"{stem}-x2.{name.lower()}" for stem in "ab"
    ]
    zoom("trip/b.png", "-m", "bicubic", "-o", "exact.png")
    exact = Photograph.read(tmp_path / "exact.png").pixels.astype(int)
    with Image.open(tmp_path / "trip-x2" / f"b-x2.{name.lower()}") as picture:
        assert picture.format == kind
        assert np.abs(np.asarray(picture) - exact).mean() < 2
    assert zoom("trip", "-m", "bicubic", "--format", name, "--skip-existing").endswith("0 of 2 photographs, 2 skipped")


def test_results_in_any_format_are_left_out_of_a_second_run(zoom: Zoom, tmp_path: Path) -> None:
    Image.fromarray(_gradient(8, 9)).save(tmp_path / "a.png")
    zoom(".", "-m", "bicubic", "-o", ".", "--format", "jpg")
    said = zoom(".", "-m", "bicubic", "-o", ".", "--format", "jpg", "--skip-existing")
    assert "1 results of earlier runs are left out, the first a-x2.jpg" in said
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a-x2.jpg", "a.png"]


def test_a_format_that_cannot_be_is_one_line(zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(_gradient(8, 9)).save(tmp_path / "a.png")
    said = zoom("a.png", "-m", "bicubic", "--format", "dng", code=1)
    assert (
        "error: --format dng is none of png, jpg, jpeg, jpe, jfif, webp, avif, tif, tiff, heic, heif, hif, jxl" in said
    )
    said = zoom("a.png", "-m", "bicubic", "--format", "jpg", "-o", "b.png", code=1)
    assert "error: -o b.png and --format jpg contradict each other: give one of them" in said
    zoom("a.png", "-m", "bicubic", "--format", "jpg", "-o", "b.jpg")
    (tmp_path / "c.avif").write_bytes(b"not decoded")
    monkeypatch.setattr(features, "check", lambda name: False)
    lacking = "the Pillow that is installed knows no AVIF: pip install -U pillow"
    assert f"a-x2.avif: {lacking}" in zoom("a.png", "-m", "bicubic", "--format", "avif", code=1)
    assert f"c.avif: {lacking}" in zoom("c.avif", "-m", "bicubic", code=1)


def test_what_a_format_cannot_hold_is_said_before_the_net_runs(
    zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.dstack([_gradient(8, 9), _gradient(8, 9)[..., 0]])).save(tmp_path / "a.png")
    Image.fromarray(_gradient(2, 8192)).save(tmp_path / "b.png")
    assert "not made: a-x2.jpg:" in zoom("a.png", "-m", "bicubic", "--format", "jpg", "--inspect")
    monkeypatch.setattr(Route, "follow", lambda *_: pytest.fail("the net ran"))
    assert "a-x2.jpg: JPEG has no transparency" in zoom("a.png", "-m", "bicubic", "--format", "jpg", code=1)
    assert "b-x2.webp: 16384x4 is more than the" in zoom("b.png", "-m", "bicubic", "--format", "webp", code=1)


@needs_avif
def test_avif_keeps_transparency_profile_and_exif(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    pixels, alpha = _gradient(30, 40), _gradient(30, 40)[..., :1]
    before = Photograph(pixels, alpha, icc=icc, exif=exif.tobytes(), dpi=(300.0, 300.0))
    assert before.write(tmp_path / "a.avif", quality=100) == ()
    after = Photograph.read(tmp_path / "a.avif")
    assert after.dpi == (300, 300)
    assert (after.icc, after.exif, after.notes) == (icc, before.exif, ())
    assert after.alpha is not None
    for one, other in ((after.pixels, pixels), (after.alpha, alpha)):
        assert one.shape == other.shape
        assert np.abs(one.astype(int) - other).max() <= 3


@needs_avif
def test_a_turned_avif_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(_gradient(30, 40)).save(tmp_path / "a.avif", exif=exif, quality=100)
    assert Photograph.read(tmp_path / "a.avif").size == (40, 30)


@needs_avif
@needs_extra
def test_a_grey_profile_is_no_profile_of_colours(tmp_path: Path) -> None:
    icc, alpha = b"\0" * 16 + b"GRAY" + b"\0" * 108, _gradient(8, 9)[..., 1:2]
    for name, has_alpha in (("a.avif", False), ("a.webp", False), ("a.heic", True)):  # which are stored as RGB
        grey = Photograph(_gradient(8, 9)[..., :1], alpha if has_alpha else None, icc=icc)
        assert grey.write(tmp_path / name) == (f"{name[2:]} has no place for the profile of a grey picture",)
        found = Photograph.read(tmp_path / name)
        assert (found.icc, found.notes) == (None, ())


@needs_avif
@pytest.mark.parametrize("bits", [10, 12])
def test_an_avif_of_more_bits_keeps_them(tmp_path: Path, bits: int) -> None:
    if not libvips().type_find("VipsOperation", "heifsave"):
        pytest.skip("this libvips writes no AVIF")
    pixels = np.linspace(0, 65535, 64 * 64).round().astype(np.uint16).reshape(64, 64, 1).repeat(3, 2)
    as_vips(pixels).heifsave(str(tmp_path / "a.avif"), compression="av1", bitdepth=bits, lossless=True)
    found = Photograph.read(tmp_path / "a.avif").pixels
    assert found.dtype == np.uint16
    assert np.abs(found.astype(int) - pixels).max() <= 65535 / (2**bits - 1)
    assert (found.min(), found.max()) == (0, 65535)


@needs_extra
def test_a_folder_of_what_the_extra_reads(zoom: Zoom, tmp_path: Path) -> None:
    (tmp_path / "trip").mkdir()
    pixels = _gradient(32, 40)
    for name in ("a.heic", "b.jxl"):
        Photograph(pixels).write(tmp_path / "trip" / name, quality=100)
    write_dng(tmp_path / "trip" / "c.dng", np.full((32, 40, 3), 0.3), neutral=(0.5, 1.0, 0.6))
    (tmp_path / "trip" / "d.arw").write_bytes(b"II*\0 and no more")
    said = zoom("trip", "-m", "bicubic", "--format", "heic", code=1)
    assert "3 of 4 photographs, 1 failed error: trip/d.arw is damaged or truncated: " in said
    assert sorted(path.name for path in (tmp_path / "trip-x2").iterdir()) == [f"{stem}-x2.heic" for stem in "abc"]
    assert "trip/c.dng: heic keeps 10 of its 16 bits" in said
    zoom("trip/b.jxl", "-m", "bicubic", "--format", "jxl", "--quality", "100")
    exact = Photograph.read(tmp_path / "trip" / "b-x2.jxl").pixels
    for name in "ab":
        found = Photograph.read(tmp_path / "trip-x2" / f"{name}-x2.heic").pixels
        assert found.shape == exact.shape == (64, 80, 3)
        assert np.abs(found.astype(int) - exact).mean() < 3


@pytest.mark.parametrize(
    ("head", "module", "package"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pillow_heif", "pillow-heif"),
        (b"\xff\x0a\0\0", "pyjpegxl", "pyjpegxl"),
        (b"FUJIFILMCCD-RAW ", "rawpy", "rawpy"),
    ],
)
def test_a_missing_library_is_one_line(
    zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.jpg").write_bytes(head)
    line = f"error: a.jpg needs {package}: pip install zoomsr[formats]"
    assert zoom("a.jpg", "-m", "bicubic", code=1) == line
    Image.fromarray(_gradient(8, 9)).save(tmp_path / "b.png")
    for kind in {"pillow_heif": ("heic", "hif"), "pyjpegxl": ("jxl",)}.get(module, ()):
        line = f"error: b-x2.{kind} needs {package}: pip install zoomsr[formats]"
        assert zoom("b.png", "-m", "bicubic", "--format", kind, code=1) == line
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.jpg", "b.png"]


@needs_avif
def test_frames_of_animations_are_counted(tmp_path: Path) -> None:
    first, *more = (Image.fromarray(photograph(16, 16, seed=seed)) for seed in range(3))
    for suffix in ("png", "gif", "webp", "avif", "tif"):
        options = {"quality": 100} if suffix == "avif" else {}
        first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=more, **options)
        found = Photograph.read(tmp_path / f"a.{suffix}")
        assert found.notes == ("frame 1 of 3",)
        assert np.abs(found.pixels.astype(int) - photograph(16, 16)).mean() < 20
        assert np.abs(found.pixels.astype(int) - photograph(16, 16, seed=1)).mean() > 30


def test_of_several_pictures_the_one_that_is_taken_is_named(zoom: Zoom, tmp_path: Path) -> None:
    one, other = (Image.fromarray(photograph(8, 9, seed=seed)) for seed in (0, 1))
    one.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[other])
    other.copy().save(tmp_path / "a.tif", save_all=True, append_images=[other.copy(), other.copy()])
    other.copy().save(tmp_path / "plain.jpg")
    said = zoom("a.jpg", "a.tif", "plain.jpg", "-m", "bicubic", "-o", "out")
    assert "a.jpg: picture 1 of 2; the others, as a gain map or a second view, are left out" in said
    assert "a.tif: frame 1 of 3" in said
    assert "plain.jpg:" not in said


def test_the_pictures_of_a_jpeg_with_a_gain_map_are_counted(tmp_path: Path) -> None:
    """By its index alone: ``MPF`` with the number of images, as Ultra HDR photographs have it."""
    Image.fromarray(photograph(8, 9)).save(tmp_path / "a.jpg")
    index = b"MPF\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0xB001, 4, 1, 3, 0)
    gain_map = (
        b'http://ns.adobe.com/xap/1.0/\0<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/></rdf:RDF>'
    )
    jpeg, parts = (tmp_path / "a.jpg").read_bytes(), b""
    for marker, content in ((b"\xff\xe1", gain_map), (b"\xff\xe2", index)):
        parts += marker + struct.pack(">H", len(content) + 2) + content
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + parts + jpeg[2:])
    assert Photograph.read(tmp_path / "a.jpg").notes == (
        "picture 1 of 3; the others, as a gain map or a second view, are left out",
    )


def test_an_ultra_hdr_jpeg_is_read_as_any_jpeg_and_a_gain_map_named(tmp_path: Path) -> None:
    if not libvips().type_find("VipsOperation", "uhdrsave"):
        pytest.skip("this libvips knows no Ultra HDR")
    light = libvips().Image.new_from_array((_gradient(64, 64) / 128).astype(np.float32)).copy(interpretation="scrgb")
    light.uhdrsave(str(tmp_path / "a.jpg"))
    found = Photograph.read(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as picture:
        assert np.array_equal(found.pixels, np.asarray(picture))
    assert found.notes == ("picture 1 of 2; the others, as a gain map or a second view, are left out",)
