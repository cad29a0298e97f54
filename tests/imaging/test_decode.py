"""Every depth, layout and orientation of picture files gives the pixels that an independent writer put in."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from _support.chunks import chunk
from _support.tiny import photograph
from PIL import Image

from zoomsr.imaging import files
from zoomsr.imaging.photo import Photograph

PIXELS = photograph(6, 10)
DEEP = np.random.default_rng(3).integers(0, 65536, (6, 10, 4), np.uint16)


def _turned(stored: np.ndarray, orientation: int) -> np.ndarray:
    """How a picture is seen whose first row and column are where EXIF's orientation says."""
    mirrored = stored[:, ::-1]
    return {
        1: stored,
        2: mirrored,
        3: np.rot90(stored, 2),
        4: stored[::-1],
        5: np.rot90(mirrored, 1),
        6: np.rot90(stored, -1),
        7: np.rot90(mirrored, -1),
        8: np.rot90(stored, 1),
    }[orientation]


def _expect(path: Path, expected: np.ndarray) -> Photograph:
    """The photograph is exactly this; the training's reader gives its colours, rounded to 8 bit."""
    found = Photograph.read(path)
    assert found.interleaved.dtype == expected.dtype
    assert np.array_equal(found.interleaved, expected)
    assert found.size == files.size(path)
    colours = expected.shape[2] - (expected.shape[2] in (2, 4))
    assert files.is_grey(path) == (colours == 1)
    white = np.iinfo(expected.dtype).max
    rounded = np.floor(expected[..., :colours] / (white / 255) + 0.5).astype(np.uint8)
    rounded = rounded.repeat(3, 2) if colours == 1 else rounded
    assert np.array_equal(files.read(path).permute(1, 2, 0).numpy(), rounded)
    return found


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("layout", ["grey", "grey alpha", "rgb", "rgba", "planar", "tiled"])
def test_tiff(tmp_path: Path, layout: str, dtype: type, compression: str | None, orientation: int) -> None:
    channels = {"grey": 1, "grey alpha": 2, "rgba": 4}.get(layout, 3)
    stored = DEEP[..., :channels] if dtype == np.uint16 else (DEEP[..., :channels] >> 8).astype(np.uint8)
    is_planar = layout == "planar"
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored.transpose(2, 0, 1) if is_planar else stored.squeeze(),
        byteorder=">" if orientation % 2 else "<",
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="separate" if is_planar else "contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        tile=(16, 16) if layout == "tiled" else None,
        compression=compression,
        extratags=[(274, "H", 1, orientation, True)],
        metadata=None,
    )
    found = _expect(tmp_path / "a.tif", _turned(stored, orientation))
    assert found.exif is None or b"\x01\x12" not in found.exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_png(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif)
    _expect(tmp_path / "a.png", _turned(PIXELS, orientation))


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_tiff_whose_zero_is_white(tmp_path: Path, bits: int) -> None:
    levels = DEEP[..., 0] >> (16 - bits)
    _packed_tiff(tmp_path / "a.tif", levels, bits=bits, photometric=0)
    white = 65535 if bits == 16 else 255
    seen = white - levels.astype(int) * white // (2**bits - 1)
    _expect(tmp_path / "a.tif", seen.astype(np.uint16 if bits == 16 else np.uint8)[..., None])


@pytest.mark.parametrize("bits", [1, 2, 4, 12])
def test_grey_tiff_of_other_depths_reaches_white(tmp_path: Path, bits: int) -> None:
    levels = DEEP[..., 0] >> (16 - bits)
    levels[0, :2] = 0, 2**bits - 1
    _packed_tiff(tmp_path / "a.tif", levels, bits=bits, photometric=1)
    white = 65535 if bits == 12 else 255
    seen = np.floor(levels * (white / (2**bits - 1)) + 0.5)
    _expect(tmp_path / "a.tif", seen.astype(np.uint16 if bits == 12 else np.uint8)[..., None])


def _packed_tiff(path: Path, levels: np.ndarray, *, bits: int, photometric: int) -> None:
    """One uncompressed strip, written bit by bit."""
    rows = b""
    for row in levels:
        text = "".join(f"{int(value):0{bits}b}" for value in row)
        rows += bytes(int(text[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(text), 8))
    height, width = levels.shape
    entries = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height}
    entries[279] = len(rows)
    order, head = ("<", b"II*\0") if bits == 12 else (">", b"MM\0*")  # Pillow reads 12 bits in this order alone
    directory = b""
    for tag, value in sorted(entries.items()):
        directory += struct.pack(order + "HHIHH", tag, 3, 1, value, 0)
    start = 8 + len(rows) + len(rows) % 2
    data = head + struct.pack(order + "I", start) + rows.ljust(start - 8, b"\0")
    path.write_bytes(data + struct.pack(order + "H", len(entries)) + directory + bytes(4))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_cmyk_tiff(tmp_path: Path, dtype: type, planar: bool) -> None:
    white = np.iinfo(dtype).max
    inks = DEEP if dtype == np.uint16 else (DEEP >> 8).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif",
        inks.transpose(2, 0, 1) if planar else inks,
        photometric="separated",
        planarconfig="separate" if planar else "contig",
    )
    left = (white - inks.astype(float)) / white
    seen = np.floor(left[..., :3] * left[..., 3:] * white + 0.5).astype(dtype)
    found = Photograph.read(tmp_path / "a.tif")
    assert found.notes == ("CMYK became RGB",)
    assert np.array_equal(found.interleaved, seen)
    read = files.read(tmp_path / "a.tif").permute(1, 2, 0).numpy().astype(float)
    assert np.abs(read / 255 - seen / white).max() <= 0.51 / 255


_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of PNG's colour types


def _png(path: Path, samples: np.ndarray, *, depth: int, kind: int, chunks: bytes = b"") -> None:
    height, width = samples.shape[:2]
    rows = b""
    for row in samples.reshape(height, -1):
        text = "".join(f"{int(value):0{depth}b}" for value in row)
        rows += b"\0" + bytes(int(text[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(text), 8))
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunks + chunk(b"IDAT", zlib.compress(rows))
    path.write_bytes(data + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    ("kind", "depth"),
    [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (4, 8), (4, 16), (6, 8), (6, 16)],
)
@pytest.mark.parametrize("transparent", [False, True])
def test_png(tmp_path: Path, kind: int, depth: int, transparent: bool) -> None:
    samples = DEEP[..., : _CHANNELS[kind]] >> (16 - depth)
    samples[2, 3] = samples[0, 0]  # two transparent pixels at least
    has_key = transparent and kind in (0, 2)
    key = samples[0, 0].astype(">u2").tobytes()
    _png(tmp_path / "a.png", samples, depth=depth, kind=kind, chunks=chunk(b"tRNS", key) if has_key else b"")
    white = 65535 if depth == 16 else 255
    expected = samples.astype(np.uint32) * (white // (2**depth - 1))
    if has_key:
        opaque = (samples != samples[0, 0]).any(axis=2, keepdims=True)
        expected = np.concatenate([expected, opaque * white], axis=2)
    _expect(tmp_path / "a.png", expected.astype(np.uint16 if depth == 16 else np.uint8))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [False, True])
def test_png_of_a_palette(tmp_path: Path, depth: int, transparent: bool) -> None:
    colours = np.random.default_rng(4).integers(0, 256, (2**depth, 4), np.uint8)
    samples = DEEP[..., :1] >> (16 - depth)
    chunks = chunk(b"PLTE", colours[:, :3].tobytes())
    chunks += chunk(b"tRNS", colours[:, 3].tobytes()) if transparent else b""
    _png(tmp_path / "a.png", samples, depth=depth, kind=3, chunks=chunks)
    _expect(tmp_path / "a.png", colours[samples[..., 0]][..., : 4 if transparent else 3])


@pytest.mark.parametrize(("white", "channels"), [(65535, 3), (65535, 1), (4095, 3), (1023, 1), (255, 3), (255, 1)])
def test_pnm_of_every_white(tmp_path: Path, white: int, channels: int) -> None:
    samples = (DEEP[..., :channels].astype(np.uint32) * white // 65535).astype(">u2" if white > 255 else np.uint8)
    samples[0, 0] = white
    head = f"P{6 if channels == 3 else 5}\n# a comment\n10 6\n{white}\n"
    (tmp_path / "a.ppm").write_bytes(head.encode() + samples.tobytes())
    full = 65535 if white > 255 else 255
    expected = np.floor(samples.astype(float) * full / white + 0.5).astype(np.uint16 if white > 255 else np.uint8)
    _expect(tmp_path / "a.ppm", expected)


def test_bmp_with_and_without_alpha(tmp_path: Path) -> None:
    alpha = np.arange(60, dtype=np.uint8).reshape(6, 10, 1)
    for name, fourth, expected in (
        ("rgba", alpha, np.dstack([PIXELS, alpha])),
        ("rgb", np.zeros_like(alpha), PIXELS),
    ):
        head = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54 + 240, 0, 0, 54, 40, 10, 6, 1, 32, 0, 240, 0, 0, 0, 0)
        pixels = np.dstack([PIXELS[..., ::-1], fourth])[::-1]
        (tmp_path / f"{name}.bmp").write_bytes(head + pixels.tobytes())
        _expect(tmp_path / f"{name}.bmp", expected)


@pytest.mark.parametrize("name", ["a.jpg", "progressive.jpg", "a.webp", "a.gif", "grey.jpg"])
def test_lossy_formats_as_pillow_decodes_them(tmp_path: Path, name: str) -> None:
    options = {"progressive": True} if name.startswith("p") else {}
    picture = Image.fromarray(photograph(32, 40)).convert("L" if name.startswith("g") else "RGB")
    picture.save(tmp_path / name, **options)
    with Image.open(tmp_path / name) as saved:
        decoded = np.asarray(saved if name.startswith("g") else saved.convert("RGB"))
    found = Photograph.read(tmp_path / name)
    assert np.array_equal(found.pixels, decoded.reshape(found.pixels.shape))


def test_other_pixels_are_refused_in_one_line(tmp_path: Path) -> None:
    kinds = {
        "floating-point": PIXELS.astype(np.float32) / 255,
        "32-bit integers": PIXELS.astype(np.uint32),
        "5 channels": np.dstack([PIXELS, PIXELS[..., :2]]),
        "short": PIXELS.astype(np.int16),
    }
    for words, pixels in kinds.items():
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
        for read in (Photograph.read, files.read):
            with pytest.raises(ValueError, match=rf"^{tmp_path}/a\.tif holds .*{words}.*: save it as 8 or 16 bit"):
                read(tmp_path / "a.tif")
    Image.fromarray(PIXELS, "LAB").save(tmp_path / "lab.tif")
    for read in (Photograph.read, files.read):
        with pytest.raises(ValueError, match=r"lab\.tif holds LAB pixels: save it as 8 or 16 bit"):
            read(tmp_path / "lab.tif")
