"""What a file knows survives: depth, transparency, orientation, profile, resolution, EXIF."""

from __future__ import annotations

import io
import resource
from pathlib import Path

import numpy as np
import pytest
import tifffile
from _support.tiny import photograph
from PIL import ExifTags, Image, ImageOps

from zoomsr.imaging.decode import MAX_PIXELS
from zoomsr.imaging.photo import CropBox, Photograph

PIXELS = photograph(20, 30)


def _saved(tmp_path: Path, picture: Image.Image, name: str, **options: object) -> Path:
    path = tmp_path / name
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a b'\"ü\n日本.png"])
def test_rgb_comes_back_pixel_by_pixel(tmp_path: Path, name: str) -> None:
    Photograph(PIXELS).write(tmp_path / name, quality=100)
    back = Photograph.read(tmp_path / name)
    if name.endswith("webp"):
        assert np.abs(back.pixels.astype(int) - PIXELS).mean() < 4
    else:
        assert np.array_equal(back.pixels, PIXELS)
    assert back.alpha is None
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_jpeg_is_near_and_of_full_chroma(tmp_path: Path) -> None:
    Photograph(PIXELS).write(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as picture:
        assert picture.layer[0][1:3] == (1, 1)  # type: ignore[attr-defined]
        assert np.abs(np.asarray(picture).astype(int) - PIXELS).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_then_gone(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "a camera"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ISOSpeedRatings: 200, ExifTags.Base.ExifImageWidth: 30}
    path = _saved(tmp_path, Image.fromarray(PIXELS), "a.png", exif=exif.tobytes())
    found = Photograph.read(path)
    with Image.open(path) as picture:
        assert np.array_equal(found.pixels, np.asarray(ImageOps.exif_transpose(picture)))
    found.write(tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as picture:
        kept = picture.getexif()
        assert ExifTags.Base.Orientation not in kept
        assert kept[ExifTags.Base.Make] == "a camera"
        assert kept.get_ifd(ExifTags.IFD.Exif) == {ExifTags.Base.ISOSpeedRatings: 200}


def test_grey_palette_and_transparency(tmp_path: Path) -> None:
    rgba = np.dstack([PIXELS, np.arange(600, dtype=np.uint8).reshape(20, 30)])
    transparent = Image.fromarray(PIXELS).quantize(16)
    cases = {
        "grey.png": (Image.fromarray(PIXELS[..., 0]), 1, False),
        "one bit.png": (Image.fromarray(PIXELS[..., 0]).convert("1"), 1, False),
        "grey alpha.png": (Image.fromarray(rgba[..., 2:]), 1, True),
        "palette.png": (transparent, 3, False),
        "rgba.png": (Image.fromarray(rgba), 3, True),
        "rgba.tif": (Image.fromarray(rgba), 3, True),
    }
    for name, (picture, channels, has_alpha) in cases.items():
        found = Photograph.read(_saved(tmp_path, picture, name))
        assert found.pixels.shape == (20, 30, channels), name
        assert (found.alpha is not None) == has_alpha, name
        found.write(tmp_path / "back.png", overwrite=True)
        back = Photograph.read(tmp_path / "back.png")
        assert np.array_equal(back.interleaved, found.interleaved), name
    path = _saved(tmp_path, transparent, "transparent palette.png", transparency=3)
    found = Photograph.read(path)
    assert found.alpha is not None
    assert np.array_equal(found.interleaved, np.asarray(transparent_rgba(path)))


def transparent_rgba(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGBA")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_survive(tmp_path: Path, channels: int, suffix: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (9, 14, channels), np.uint16)
    colours = channels - (channels in (2, 4))
    original = Photograph(pixels[..., :colours], pixels[..., colours:] if colours < channels else None)
    original.write(tmp_path / f"a{suffix}")
    back = Photograph.read(tmp_path / f"a{suffix}")
    assert back.pixels.dtype == np.uint16
    assert np.array_equal(back.interleaved, pixels)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_sixteen_bit_tiff_of_either_byte_order(tmp_path: Path, order: str, compression: str | None) -> None:
    pixels = np.random.default_rng(2).integers(0, 65536, (9, 14, 3), np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        byteorder=order,
        compression=compression,
        photometric="rgb",  # type: ignore[arg-type]
    )
    assert np.array_equal(Photograph.read(tmp_path / "a.tif").pixels, pixels)


def test_profile_and_resolution_survive_in_every_format(tmp_path: Path) -> None:
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name in ("a.png", "a.jpg", "a.tif", "a.webp"):
        Photograph(PIXELS, icc=icc, dpi=(300.0, 300.0)).write(tmp_path / name)
        back = Photograph.read(tmp_path / name)
        assert back.icc == icc, name
        if name != "a.webp":  # which has no place for it
            assert back.dpi == pytest.approx((300, 300), abs=0.02), name
    Photograph(PIXELS.astype(np.uint16), icc=icc, dpi=(300.0, 300.0)).write(tmp_path / "deep.tif")
    back = Photograph.read(tmp_path / "deep.tif")
    assert (back.icc, back.dpi) == (icc, (300.0, 300.0))


def test_of_an_animation_the_first_frame_and_of_cmyk_rgb(tmp_path: Path) -> None:
    frames = [Image.fromarray(PIXELS[..., 0] // (1 + n)) for n in range(3)]
    path = _saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert Photograph.read(path).notes == ("frame 1 of 3",)
    for name in ("a.webp", "pages.tif", "animated.png"):
        path = _saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:])
        assert Photograph.read(path).notes == ("frame 1 of 3",), name
    found = Photograph.read(_saved(tmp_path, Image.fromarray(PIXELS).convert("CMYK"), "a.tif"))
    assert found.notes == ("CMYK became RGB",)
    assert np.abs(found.pixels.astype(int) - PIXELS).max() <= 1


def test_what_is_no_picture_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    whole = io.BytesIO()
    Image.fromarray(PIXELS).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "long.tif")
    for name, words in {
        "text.png": "is not an image",
        "cut.jpg": "damaged or truncated",
        "float.tif": "floating-point pixels, which have no fixed white",
        "long.tif": "32-bit integers, which have no fixed white",
    }.items():
        with pytest.raises(ValueError, match=words) as error:
            Photograph.read(tmp_path / name)
        assert name in str(error.value)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    side = int(MAX_PIXELS**0.5) + 10
    path = _saved(tmp_path, Image.new("1", (side, side)), "bomb.png")
    with pytest.raises(ValueError, match=r"bomb\.png has more than 178,956,970 pixels"):
        Photograph.read(path)


def test_box(tmp_path: Path) -> None:
    whole = Photograph(PIXELS, alpha=PIXELS[..., :1])
    crop = whole.cropped(CropBox(3, 5, 7, 4))
    assert np.array_equal(crop.pixels, PIXELS[5:9, 3:10])
    assert crop.alpha is not None
    assert crop.alpha.shape == (4, 7, 1)
    for box, words in {
        CropBox(0, 0, 31, 20): "box 0,0,31,20 is not inside the picture, which is 30x20",
        CropBox(-1, 0, 5, 5): "not inside",
        CropBox(0, 0, 0, 5): "box 0,0,0,5 is empty",
    }.items():
        with pytest.raises(ValueError, match=words):
            whole.cropped(box)


def test_a_file_is_replaced_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"a\.png is there already: --overwrite replaces it"):
        Photograph(PIXELS).write(path)
    assert path.read_text() == "old"
    Photograph(PIXELS).write(path, overwrite=True)
    assert np.array_equal(Photograph.read(path).pixels, PIXELS)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # bytes; what is more cannot be written
    try:
        with pytest.raises(ValueError, match=rf"{name} cannot be written: "):
            Photograph(photograph(200, 300)).write(path, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_an_opaque_alpha_is_no_transparency(tmp_path: Path) -> None:
    Photograph(PIXELS, alpha=np.full_like(PIXELS[..., :1], 255)).write(tmp_path / "a.jpg")
    Photograph(PIXELS).write(tmp_path / "b.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"JPEG has no transparency; -o a\.png keeps it"):
        Photograph(PIXELS, alpha=PIXELS[..., :1]).write(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="more than the 16383 pixels of a side that webp can hold"):
        Photograph(np.zeros((2, 16384, 1), np.uint8)).write(tmp_path / "a.webp")
    with pytest.raises(ValueError, match="no suffix that can be written"):
        Photograph(PIXELS).write(tmp_path / "a.xyz")
    assert not list(tmp_path.iterdir())
