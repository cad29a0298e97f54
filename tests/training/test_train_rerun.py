"""``rerun=RUN``: the same training anew, what differs said before it, and whether the metrics are equal after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.tiny import photograph
from PIL import Image

from zoomsr.runs.job import Job, settings_hash
from zoomsr.runs.provenance import read_starts
from zoomsr.runs.run import Run

PLAIN = ("logger=none", "callbacks.pictures=null", "callbacks.gallery=null")

Train = Callable[..., Run]
Command = Callable[..., Path]


def _weights(run: Path) -> dict[str, Any]:
    weights: dict[str, Any] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return weights


def _lines(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The last text of each label since the last call."""
    return {line[:8].strip(): line[9:] for line in capsys.readouterr().out.splitlines()}


@pytest.mark.slow
def test_a_rerun_gives_the_same_bits_and_says_so(
    train: Train, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train("optimizer.lr=2e-3", *PLAIN)
    capsys.readouterr()
    command(f"rerun={first.path}", f"hydra.run.dir={tmp_path}/again")
    out = capsys.readouterr().out
    assert "rerun    of run0; the same as then: code, versions, data, weights, device\n" in out
    end = "the metrics equal those of run0 to the bit: 2 rows of metrics.csv and the scores of every image"
    assert out.splitlines()[-1] == f"rerun    {end}"
    again = Run.read(tmp_path / "again")
    assert [row["val/loss"] for row in again.epochs] == [row["val/loss"] for row in first.epochs]
    weights = _weights(again.path)
    assert all(torch.equal(value, weights[name]) for name, value in _weights(first.path).items())
    old, new = Job(first.path).settings(), Job(again.path).settings()
    assert settings_hash(old) == settings_hash(new)
    assert new["callbacks"]["checkpoint"]["dirpath"] == f"{again.path}/checkpoints"
    assert (again.path / "checkpoints" / "best.ckpt").is_file()


@pytest.mark.slow
def test_of_a_changed_folder_it_says_so_and_where_the_metrics_part(
    train: Train, command: Command, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train("trainer.max_epochs=1", *PLAIN)
    Image.fromarray(photograph(48, 64, seed=99)).save(photos / "0.png")
    capsys.readouterr()
    command(f"rerun={first.path}", f"hydra.run.dir={tmp_path}/again")
    lines = _lines(capsys)
    before, now = (Run.read(path).results for path in (first.path, tmp_path / "again"))
    assert before is not None
    assert now is not None
    assert lines["differs"] == f"data: hash {before['data']['hash'][:12]} -> {now['data']['hash'][:12]}"
    assert lines["rerun"].startswith("the metrics differ from those of run0: first train/mae of epoch 1, 0.")


@pytest.mark.slow
def test_settings_are_the_frozen_ones_but_for_what_the_command_changes(
    train: Train, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train("trainer.max_epochs=1", *PLAIN)
    settings = Job(first.path).settings()
    settings["optimizer"]["lr"] = 0.0125  # as if conf/ had another default then
    Job.freeze(settings)
    capsys.readouterr()
    command(f"rerun={first.path}", f"hydra.run.dir={tmp_path}/again", "seed=7")
    changed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("changed")]
    assert changed == ["changed  seed: 1 -> 7", "changed  data.module.seed: 1 -> 7"]
    again = Job(tmp_path / "again").settings()
    assert (again["optimizer"]["lr"], again["seed"]) == (0.0125, 7)
    command(f"ckpt={tmp_path}/again")  # a resume keeps them too
    assert Job(tmp_path / "again").settings() == {**again, "ckpt": "last"}
    assert len(read_starts(tmp_path / "again")) == 1
