"""The size one means: exact sizes, and the pixels of the net and then the exact bicubic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from _support.zooming import PIXELS, Nets, Zoom, by_net
from PIL import Image, ImageCms

from zoomsr.imaging import resample
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.resize import resize
from zoomsr.inference.sizes import OutputSize, parse_size


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(path)
    return path


def _size(
    *,
    scale: float | None = None,
    width: int | None = None,
    height: int | None = None,
    megapixels: float | None = None,
    paper: str | None = None,
) -> OutputSize:
    size = parse_size(scale=scale, width=width, height=height, megapixels=megapixels, paper=paper)
    assert size is not None
    return size


def _bicubic(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The exact bicubic called directly."""
    white = int(np.iinfo(pixels.dtype).max)
    floats = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / white
    found = (resize(floats, (height, width)) * white + 0.5).floor().clamp(0, white)
    return found.permute(1, 2, 0).numpy().astype(pixels.dtype)


def _read(path: Path) -> np.ndarray:
    return Photograph.read(path).interleaved


def test_sides_are_rounded_half_up_and_never_nothing() -> None:
    assert _size(scale=1.5).of(35, 46) == (53, 69)  # 52.5
    assert _size(scale=1.1).of(5, 15) == (6, 17)  # 5.5 and 16.5: of the decimal number
    assert _size(scale=0.7).of(5, 45) == (4, 32)  # 3.5 and 31.5
    assert _size(scale=0.001).of(5, 2000) == (1, 2)


def test_one_side_decides_and_the_other_follows() -> None:
    assert _size(width=3000).of(3024, 4032) == (2250, 3000)
    assert _size(height=3000).of(3024, 4032) == (3000, 4000)
    both = _size(width=3000, height=2000)
    assert both.of(3024, 4032) == (2000, 2667)
    assert both.of(1000, 4000) == (750, 3000)
    assert _size(width=7).of(1, 3) == (2, 7)


def test_megapixels() -> None:
    assert _size(megapixels=24).of(2000, 3000) == (4000, 6000)
    assert _size(megapixels=0.5).of(1000, 1000) == (707, 707)


@pytest.mark.parametrize(
    ("paper", "expected"),
    [
        ("40x30cm@300", (3543, 4724)),  # 3543.3 by 4724.4
        ("30x40cm@300dpi", (3543, 4724)),  # the sheet is turned
        ("400x300mm@300", (3543, 4724)),
        ("6x4in@300", (1200, 1600)),
        ("4x6IN@72.5", (290, 387)),  # 290 x 435: 3 to 4 fits by its height
    ],
)
def test_a_picture_fits_on_paper(paper: str, expected: tuple[int, int]) -> None:
    size = _size(paper=paper)
    assert size.of(3000, 4000) == expected
    assert size.of(4000, 3000) == expected[::-1]
    assert size.dpi == float(paper.split("@")[1].removesuffix("dpi"))


def test_names_say_the_size() -> None:
    assert [
        _size(scale=1.5).ending,
        _size(scale=6).ending,
        _size(width=3000).ending,
        _size(height=200).ending,
        _size(width=3000, height=200).ending,
        _size(megapixels=2.5).ending,
        _size(paper="40x30CM@300dpi").ending,
    ] == ["-x1.5", "-x6", "-3000w", "-200h", "-3000w-200h", "-2.5mp", "-40x30cm-300dpi"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"scale": 2.0, "megapixels": 3.0}, "--scale and --megapixels both say how large: give one of them"),
        ({"width": 9, "height": 9, "paper": "4x6in@300"}, "--width and --height and --print both say how large"),
        ({"scale": float("nan")}, "--scale nan is no size: give a number above 0"),
        ({"scale": float("inf")}, "--scale inf is no size"),
        ({"scale": -2.0}, "--scale -2 is no size"),
        ({"width": 0}, "--width 0 is no size"),
        ({"megapixels": 0.0}, "--megapixels 0 is no size"),
        ({"paper": "40x30@300"}, "--print 40x30@300 is no sheet of paper: WIDTHxHEIGHTcm@DPI, as 40x30cm@300"),
        ({"paper": "40x30cm"}, "--print 40x30cm is no sheet"),
        ({"paper": "0x30cm@300"}, "--print 0x30cm@300 is no sheet"),
    ],
)
def test_what_is_no_size_is_one_line(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        _size(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "name", "scale", "height", "width"),
    [
        (("--scale", "1.5"), "x1.5", 2, 53, 69),
        (("--scale", "2.5"), "x2.5", 3, 88, 115),
        (("--width", "150"), "150w", 4, 114, 150),
        (("--height", "105"), "105h", 3, 105, 138),
        (("--megapixels", "0.01"), "0.01mp", 3, 87, 115),
        (("-m", "unet_x3", "--scale", "2"), "x2", 3, 70, 92),
    ],
)
def test_the_net_of_the_next_scale_and_then_bicubic(
    zoom: Zoom,
    photo: Path,
    unets: Nets,
    tmp_path: Path,
    arguments: tuple[str, ...],
    name: str,
    scale: int,
    height: int,
    width: int,
) -> None:
    label = "unet" if scale == 2 else f"unet_x{scale}"
    assert f"{label} photo-{name}.png {width}x{height}" in zoom(photo, *arguments)
    expected = _bicubic(by_net(unets[scale], PIXELS), height, width)
    assert np.array_equal(_read(tmp_path / f"photo-{name}.png"), expected)


def test_six_times_is_three_passes_of_two_and_then_bicubic(
    zoom: Zoom, photo: Path, unets: Nets, tmp_path: Path
) -> None:
    assert "unet photo-x6.png 72x60" in zoom(photo, "--scale", "6", "--box", "3,4,12,10")
    eight = by_net(unets[2], by_net(unets[2], by_net(unets[2], PIXELS[4:14, 3:15])))
    assert np.array_equal(_read(tmp_path / "photo-x6.png"), _bicubic(eight, 60, 72))


def test_a_net_of_one_scale_reaches_others_by_its_powers(zoom: Zoom, photo: Path, tmp_path: Path) -> None:
    zoom(photo, "-m", "srcnn", "--scale", "4")
    zoom(photo, "-m", "srcnn", "--scale", "3")
    assert np.array_equal(_read(tmp_path / "photo-x3.png"), _bicubic(_read(tmp_path / "photo-x4.png"), 105, 138))


@pytest.mark.parametrize(("scale", "height", "width"), [("1.5", 53, 69), ("0.4", 14, 18), ("1", 35, 46)])
def test_bicubic_and_shrinking_need_no_net(
    zoom: Zoom, photo: Path, unets: Nets, tmp_path: Path, scale: str, height: int, width: int
) -> None:
    said = zoom(photo, "-m", "bicubic" if scale == "1.5" else "unet", "--scale", scale)
    assert f"bicubic photo-x{scale}.png {width}x{height}" in said
    shrunk = "photo.png: 46x35 is more than was asked for: shrunk by bicubic, without a net"
    assert (shrunk in said) == (scale == "0.4")
    assert np.array_equal(_read(tmp_path / f"photo-x{scale}.png"), _bicubic(PIXELS, height, width))


def test_of_a_folder_each_picture_takes_its_own_net(zoom: Zoom, unets: Nets, tmp_path: Path) -> None:
    (tmp_path / "trip").mkdir()
    for name, width in {"a": 80, "b": 30, "c": 23, "d": 11, "e": 200}.items():
        Image.fromarray(photograph(8, width)).save(tmp_path / "trip" / f"{name}.png")
    said = zoom("trip", "--width", "90")
    for net, name in {"unet": "a", "unet_x3": "b", "unet_x4": "c", "bicubic": "e"}.items():
        assert f" {net} trip-90w/{name}-90w.png 90x" in said
    d = by_net(unets[2], by_net(unets[2], by_net(unets[2], by_net(unets[2], photograph(8, 11)))))
    assert np.array_equal(_read(tmp_path / "trip-90w" / "d-90w.png"), _bicubic(d, 65, 90))


def test_depth_profile_and_exif_stay_and_the_resolution_is_that_of_the_print(
    zoom: Zoom, unets: Nets, tmp_path: Path
) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    deep = PIXELS.astype(np.uint16) * 257 + 3
    before = Photograph(deep, icc=icc, dpi=(72.0, 72.0), exif=exif.tobytes())
    before.write(tmp_path / "deep.png")
    zoom("deep.png", "--scale", "2", "-o", "x2.png")
    for arguments, dpi, size in (
        (("--scale", "1.5"), 72, (53, 69)),
        (("--print", "1x1in@60"), 60, (46, 60)),
        (("--print", "0.5x0.5in@60"), 60, (23, 30)),
    ):
        zoom("deep.png", *arguments, "-o", "out.png", "--overwrite")
        after = Photograph.read(tmp_path / "out.png")
        assert (after.pixels.dtype, after.size, after.icc, after.exif) == (np.uint16, size, icc, before.exif)
        assert after.dpi == pytest.approx((dpi, dpi), abs=0.02)
        source = _read(tmp_path / "x2.png") if size[1] > 46 else deep
        assert np.array_equal(after.pixels, _bicubic(source, *size))


def test_the_colour_of_what_is_not_seen_does_not_bleed() -> None:
    alpha = np.zeros((20, 24, 1), np.uint8)
    alpha[:, 8:] = 255
    pixels = np.full((20, 24, 3), 200, np.uint8)
    pixels[:, :8] = (0, 255, 0)
    found = Photograph(pixels, alpha).resized((13, 17))
    assert found.alpha is not None
    assert np.array_equal(found.alpha, _bicubic(alpha, 13, 17))
    assert (found.pixels[found.alpha[..., 0] > 0] == 200).all()
    assert (found.pixels[:, :4] == (0, 255, 0)).all()  # as they are stored, where nothing is seen


def test_strips_as_in_one_piece_and_opaque_alpha_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = np.full((35, 46, 1), 255, np.uint8)
    for size in ((24, 31), (31, 24), (50, 20), (35, 20)):
        monkeypatch.setattr(resample, "_STRIP", 256)
        whole = Photograph(PIXELS).resized(size)
        assert np.array_equal(whole.pixels, _bicubic(PIXELS, *size))
        monkeypatch.setattr(resample, "_STRIP", 7)
        found = Photograph(PIXELS, alpha).resized(size)
        assert np.array_equal(found.pixels, whole.pixels)
        assert found.alpha is not None
        assert (found.alpha == 255).all()
        assert found.alpha.shape == (*size, 1)
