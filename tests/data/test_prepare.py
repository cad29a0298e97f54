"""The prepare command, as a user types it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from _support.tiny import photograph
from PIL import Image


def test_a_folder_is_packed_once_listed_verified_and_cleared(prepare: Callable[..., str], photos: Path) -> None:
    said = prepare("folder", str(photos))
    assert "train 5 photographs, packed in" in said
    assert "val 1 photographs, packed in" in said
    assert f"python -m zoomsr.train data=folder data.root={photos}" in said
    assert "packing" in said
    assert "packing" not in prepare("folder", str(photos))
    listed = prepare("cache")
    assert "5 photographs, lr Bicubic(scale=2)" in listed
    assert "6 photographs" not in listed
    checked = prepare("verify")
    assert checked.count("fine") == 10
    assert "wrong" not in checked
    cleared = prepare("clear")
    # hr and lr pixels of six 64x48 photographs, the indices, nothing else.
    assert re.search(r"removed (6[89]|7\d)\.\d kB", cleared), cleared
    assert "0 bytes in" in prepare("cache")
    assert len(list(photos.rglob("*.png"))) == 6


def test_verify_finds_what_was_altered(prepare: Callable[..., str], photos: Path, tmp_path: Path) -> None:
    prepare("folder", str(photos))
    (data,) = (path for path in (tmp_path / "cache").rglob("hr.u8") if path.stat().st_size < 20_000)
    data.write_bytes(data.read_bytes()[:-1] + b"\0")
    for arguments in ([], [str(data.parent)]):
        assert re.search(r"hr pixels │ \S+png altered │ wrong", prepare("verify", *arguments, code=1))
    data.write_bytes(b"")
    assert "holds 0 bytes of pixels, expected 9,216" in prepare("verify", code=1)
    assert "damaged: " in prepare("cache")
    prepare("clear", str(data.parent))
    assert "packing 1 photographs" in prepare("folder", str(photos))


def test_clear_touches_packed_pixels_alone(prepare: Callable[..., str], photos: Path) -> None:
    said = prepare("clear", str(photos), code=1)
    assert "photos holds no packed photographs" in said
    assert len(list(photos.rglob("*.png"))) == 6


def test_another_scale_packs_lr_beside(prepare: Callable[..., str], photos: Path) -> None:
    prepare("folder", str(photos))
    prepare("folder", str(photos), "--scale", "3")
    assert "5 photographs, lr Bicubic(scale=2), Bicubic(scale=3)" in prepare("cache")


def test_held_out_folder(prepare: Callable[..., str], photos: Path, tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    Image.fromarray(photograph(30, 40, seed=8)).save(tmp_path / "held" / "a.png")
    said = prepare("folder", str(photos), "--val-root", str(tmp_path / "held"))
    assert "train 6 photographs" in said
    assert "val 1 photographs" in said


def test_sample_is_packed(prepare: Callable[..., str]) -> None:
    said = prepare("sample")
    assert "train 7 photographs" in said
    assert "val 3 photographs" in said
