"""Checkpoints are whole or not there, and what is damaged is passed over."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.weights import Weights, is_intact
from zoomsr.training.checkpoint_io import AtomicCheckpoints, newest_intact


def _flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    place = data.index(torch.arange(1000.0).numpy().tobytes()[400:440])  # in the middle of a tensor
    data[place] ^= 1
    path.write_bytes(bytes(data))


def test_the_one_before_is_kept_and_nothing_else(tmp_path: Path) -> None:
    for number in range(3):
        AtomicCheckpoints().save_checkpoint({"number": number}, tmp_path / "last.ckpt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]
    assert [torch.load(tmp_path / f"{name}.ckpt")["number"] for name in ("last", "previous")] == [2, 1]


def test_the_last_one_is_never_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last, present, replace = tmp_path / "last.ckpt", [], Path.replace
    AtomicCheckpoints().save_checkpoint({"number": 0}, last)

    def noting(path: Path, target: Path) -> Path:
        moved = replace(path, target)
        present.append(last.is_file())
        return moved

    monkeypatch.setattr(Path, "replace", noting)
    AtomicCheckpoints().save_checkpoint({"number": 1}, last)
    assert present == [True, True]


def test_the_one_before_is_kept_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(source: Path, target: Path) -> None:
        raise PermissionError("Operation not permitted")  # what exFAT answers

    monkeypatch.setattr(os, "link", refused)
    test_the_one_before_is_kept_and_nothing_else(tmp_path)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AtomicCheckpoints().save_checkpoint({"number": 0}, tmp_path / "last.ckpt")

    def full(checkpoint: object, file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        AtomicCheckpoints().save_checkpoint({"number": 1}, tmp_path / "last.ckpt")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    assert torch.load(tmp_path / "last.ckpt")["number"] == 0


def test_one_flipped_bit_is_seen_and_the_one_before_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        AtomicCheckpoints().save_checkpoint({"weights": torch.arange(1000.0)}, tmp_path / "last.ckpt")
    assert newest_intact(tmp_path) == tmp_path / "last.ckpt"
    _flip_a_byte(tmp_path / "last.ckpt")
    assert not is_intact(tmp_path / "last.ckpt")
    assert newest_intact(tmp_path) == tmp_path / "previous.ckpt"
    assert "last.ckpt is passed over" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(ValueError, match=r"last\.ckpt is damaged: a check sum"):
        Weights.read(tmp_path / "last.ckpt")


@pytest.mark.parametrize(("field", "bit"), [(38, 0x10), (46, 0x80), (16, 1)], ids=["attributes", "name", "crc"])
def test_damage_to_the_directory_of_the_file_is_seen(tmp_path: Path, field: int, bit: int) -> None:
    for _ in range(2):
        AtomicCheckpoints().save_checkpoint({"weights": torch.arange(1000.0)}, tmp_path / "last.ckpt")
    data = bytearray((tmp_path / "last.ckpt").read_bytes())
    entry = [place for place in range(len(data)) if data[place : place + 4] == b"PK\1\2"]
    (tensor,) = (place for place in entry if b"data/0" in data[place + 46 : place + 60])
    data[tensor + field] ^= bit
    (tmp_path / "last.ckpt").write_bytes(data)
    assert newest_intact(tmp_path) == tmp_path / "previous.ckpt"
    with pytest.raises(ValueError, match=r"last\.ckpt is damaged: a check sum"):
        Weights.read(tmp_path / "last.ckpt")


def test_a_flipped_byte_anywhere_in_a_checkpoint_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path, config = tmp_path / "last.ckpt", {"_target_": "zoomsr.models.vdsr.VDSR", "width": 4}
    weights = torch.arange(32.0)
    AtomicCheckpoints().save_checkpoint(
        {"state_dict": {"net.a": weights}, "hyper_parameters": {"model": config}, "epoch": 1}, path
    )
    whole, noticed = path.read_bytes(), 0
    for place in range(0, len(whole), 3):
        data = bytearray(whole)
        data[place] ^= 0x11
        path.write_bytes(data)
        try:
            found = Weights.read(path)
        except ValueError:
            noticed += 1
        else:
            assert found.config == config
            assert torch.equal(found.tensors["a"], weights)
    assert noticed > len(whole) / 6  # the others lie in padding, or in what is said twice


def test_a_truncated_file_is_damaged_and_no_file_is_none(tmp_path: Path) -> None:
    assert newest_intact(tmp_path) is None
    AtomicCheckpoints().save_checkpoint({"weights": torch.arange(1000.0)}, tmp_path / "last.ckpt")
    whole = (tmp_path / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"every checkpoint in .* is damaged"):
        newest_intact(tmp_path)


NET = {"_target_": "zoomsr.models.srcnn.SRCNN", "scale": 2, "channels": 3}


@pytest.mark.parametrize(
    ("held", "wanted", "difference"),
    [
        (NET, {**NET, "widths": [64, 32], "kernels": [9, 5, 5]}, None),  # a yaml has gained these, with their defaults
        ({**NET, "widths": [64, 32]}, NET, None),
        (NET, {**NET, "widths": [8, 4]}, "widths=[8, 4]"),
        ({**NET, "widths": [8, 4]}, NET, "widths=(64, 32)"),
        ({**NET, "scale": 3}, NET, "scale=2"),
        (NET, {**NET, "unheard_of": 1}, "unheard_of=1"),
        ({**NET, "_target_": "zoomsr.models.vdsr.VDSR"}, NET, "_target_=zoomsr.models.srcnn.SRCNN"),
        ({**NET, "prior": NET}, {**NET, "prior": {**NET, "widths": [64, 32]}}, None),
        ({**NET, "prior": NET}, {**NET, "prior": {**NET, "widths": [8, 4]}}, "prior="),
    ],
)
def test_an_argument_that_came_later_is_no_difference_where_it_has_its_default(
    held: dict[str, Any], wanted: dict[str, Any], difference: str | None
) -> None:
    weights = Weights(Path("best.ckpt"), SRCNN().state_dict(), held)
    if difference is None:
        weights.require(wanted)
    else:
        with pytest.raises(ValueError, match=re.escape(f"and {difference}")):
            weights.require(wanted)
