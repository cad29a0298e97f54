"""Colour spaces by numbers, and auxiliary pictures, in AVIF; HEIF has the same boxes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from _support.tiny import photograph
from PIL import Image, features

from zoomsr.imaging.bmff import PrimaryItem, boxes_in
from zoomsr.imaging.photo import Photograph

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="the installed Pillow knows no AVIF")

SRGB = struct.pack(">4sHH", b"nclx", 1, 13)
ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"


def _avif(path: Path, *replaced: tuple[bytes, bytes], **options: object) -> Path:
    """With alpha, and with parts of its boxes replaced by others of the same length."""
    pixels = photograph(16, 16)
    Image.fromarray(np.concatenate([pixels, pixels[..., :1]], axis=2)).save(path, **options)
    data = path.read_bytes()
    for before, after in replaced:
        assert before in data
        data = data.replace(before, after.ljust(len(before), b"\0"))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("primaries", "transfer", "expected"),
    [(1, 13, None), (1, 1, None), (2, 2, None), (9, 16, b"\x09\x10\0\1"), (12, 13, b"\x0c\x0d\0\1"), (300, 13, None)],
)
def test_other_colour_spaces_than_srgb_become_cicp(
    tmp_path: Path, primaries: int, transfer: int, expected: bytes | None
) -> None:
    _avif(tmp_path / "a.avif", (SRGB, struct.pack(">4sHH", b"nclx", primaries, transfer)))
    found = Photograph.read(tmp_path / "a.avif")
    assert found.colour == (() if expected is None else ((b"cICP", expected),))
    found.write(tmp_path / "a.png")
    assert Photograph.read(tmp_path / "a.png").colour == found.colour


def test_a_profile_counts_more_than_numbers(tmp_path: Path) -> None:
    unspecified, wide = (struct.pack(">4sHH", b"nclx", *numbers) for numbers in ((2, 2), (9, 16)))
    _avif(tmp_path / "a.avif", (unspecified, wide), icc_profile=b"a profile" * 20)
    assert PrimaryItem.read(tmp_path / "a.avif").cicp is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (b"urn:com:apple:photo:2020:aux:hdrgainmap", "a gain map"),
        (b"urn:mpeg:hevc:2015:auxid:2", "a depth map"),
        (b"urn:com:apple:photo:2019:aux:skinmatte", "a matte"),
    ],
)
def test_auxiliary_pictures_are_named(tmp_path: Path, kind: bytes, name: str) -> None:
    _avif(tmp_path / "a.avif", (ALPHA, kind))
    assert PrimaryItem.read(tmp_path / "a.avif").notes == (f"{name} is in the file, and is left out",)


def test_mastering_metadata_is_named(tmp_path: Path) -> None:
    _avif(tmp_path / "a.avif", (b"pixi", b"clli"))
    assert PrimaryItem.read(tmp_path / "a.avif").auxiliary == ("HDR mastering metadata",)


def test_other_and_damaged_files_have_none(tmp_path: Path) -> None:
    data = _avif(tmp_path / "a.avif").read_bytes()
    assert PrimaryItem.read(tmp_path / "a.avif") == PrimaryItem()
    for number in range(0, len(data), 7):
        (tmp_path / "b.avif").write_bytes(data[:number])
        assert PrimaryItem.read(tmp_path / "b.avif") == PrimaryItem()
        (tmp_path / "b.avif").write_bytes(data[:number] + b"\xff" * 4 + data[number + 4 :])
        PrimaryItem.read(tmp_path / "b.avif")


def test_boxes_of_every_kind_of_length() -> None:
    large = struct.pack(">I4sQ", 1, b"wide", 19) + b"abc"
    data = struct.pack(">I4s", 10, b"plan") + b"xy" + large + struct.pack(">I4s", 0, b"rest") + b"to the end"
    assert list(boxes_in(data)) == [(b"plan", b"xy"), (b"wide", b"abc"), (b"rest", b"to the end")]
    assert list(boxes_in(struct.pack(">I4s", 7, b"less") + b"abc")) == []
