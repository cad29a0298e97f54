"""A run that was moved or copied resumes where it is now, and knows its best epoch."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from zoomsr.runs.run import Run

# A resumed epoch has a lower PSNR in this case, so that a forgotten best would be replaced by it.
FIRST_IS_BEST = ("monitor_mode=min", "scheduler=constant")

Train = Callable[..., Run]
Command = Callable[..., Path]


def _moved(run: Run) -> Path:
    return Path(shutil.move(run.path, run.path.parent / "elsewhere" / "with spaces"))


@pytest.fixture
def elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _strings(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _strings(part)]
    return [value] if isinstance(value, str) else []


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("is_old", [False, True])
def test_the_best_epoch_is_kept_where_the_run_goes_on(
    train: Train, command: Command, monkeypatch: pytest.MonkeyPatch, is_old: bool
) -> None:
    if is_old:  # checkpoints of older versions hold absolute paths
        monkeypatch.setattr("zoomsr.training.callbacks.exact_resume.forget_places", lambda trainer, checkpoint: None)
    first = train(*FIRST_IS_BEST)
    assert first.results is not None
    best = torch.load(first.path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    last = torch.load(first.path / "checkpoints" / "last.ckpt", weights_only=True)
    assert is_old == any(str(first.path) in text for text in _strings(last))
    assert first.results["best_epoch"] == 1
    place = _moved(first)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The dirpath has changed")
        command(f"ckpt={place}", "trainer.max_epochs=3")
    run = Run.read(place)
    assert [row["epoch"] for row in run.epochs] == [1, 2, 3]
    assert run.results is not None
    assert (run.results["best_epoch"], run.results["best_step"]) == (1, 5)
    assert run.means()["srcnn"] == first.means()["srcnn"]
    now = torch.load(place / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, now[key]) for key, value in best.items())
    assert not first.path.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_a_run_that_was_moved_before_its_test_ends(train: Train, command: Command) -> None:
    first = train(*FIRST_IS_BEST)
    (first.path / "metrics.json").unlink()
    place = _moved(first)
    command(f"ckpt={place}")
    assert Run.read(place).results is not None
    assert Run.read(place).means() == first.means()


@pytest.mark.slow
def test_a_run_from_anothers_checkpoint_has_a_best_of_its_own(train: Train) -> None:
    first = train(*FIRST_IS_BEST)
    second = train(f"ckpt={first.path}/checkpoints/last.ckpt", "trainer.max_epochs=3", *FIRST_IS_BEST)
    assert second.results is not None
    assert second.results["best_epoch"] == 3
    assert (second.path / "checkpoints" / "best.ckpt").is_file()
