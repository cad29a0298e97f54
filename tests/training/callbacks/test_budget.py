"""A training that ends after a time, its learning rate annealed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zoomsr.runs.run import Run
from zoomsr.training.callbacks import limits
from zoomsr.training.callbacks.limits import Budget
from zoomsr.training.module import ZoomModule

Train = Callable[..., Run]
Command = Callable[..., Path]


@pytest.fixture
def a_second_per_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, step = [1000.0], ZoomModule.training_step

    def timed(module: ZoomModule, *arguments: Any) -> torch.Tensor:
        clock[0] += 1
        return step(module, *arguments)

    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(ZoomModule, "training_step", timed)


def _cosine(share: float, warmup: float = 0.02, floor: float = 0.01) -> float:
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def _state(run: Run) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run.path / "checkpoints" / "last.ckpt", weights_only=True)
    return state


@pytest.mark.parametrize(("text", "seconds"), [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("45s", 45)])
def test_a_time_is_read(text: str, seconds: int) -> None:
    assert Budget(text).state_dict() == {"used": 0, "seconds": seconds}


@pytest.mark.parametrize("text", ["", "2", "0m", "h", "1.5h", "30m1h", "-1h", "2 h"])
def test_what_is_no_time_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=f"budget={text} must be a time such as 2h"):
        Budget(text)


@pytest.mark.usefixtures("a_second_per_step")
def test_it_ends_annealed_whatever_the_number_of_epochs(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    run = train("budget=8s", "trainer.max_epochs=1", "optimizer.lr=0.001")
    assert [(row["epoch"], row["step"]) for row in run.epochs] == [(1, 5), (2, 8)]
    # The rate of a step is that of the clock before it.
    assert run.epochs[0]["optim/learning_rate"] == pytest.approx(0.001 * _cosine(4 / 8), rel=2e-3)
    state = _state(run)
    assert state["lr_schedulers"][0]["last_epoch"] == 8750  # when the last step began
    assert "val/psnr_y" in run.epochs[1]
    shown = capsys.readouterr().out
    assert "budget   8s, annealed by then (cosine)" in shown
    assert "epoch 2  train/mae" in shown


@pytest.mark.usefixtures("a_second_per_step")
def test_a_resume_goes_on_with_the_time_that_was_left(train: Train, command: Command) -> None:
    run = train("budget=8s", "trainer.max_steps=3")
    assert _state(run)["callbacks"]["Budget"] == {"used": 3, "seconds": 8}
    command(f"ckpt={run.path}", "trainer.max_steps=-1")
    assert _state(run)["global_step"] == 8
    assert _state(run)["lr_schedulers"][0]["last_epoch"] == 8750
    command(f"ckpt={run.path}")  # nothing is left
    assert _state(run)["global_step"] == 8


@pytest.mark.usefixtures("a_second_per_step")
def test_more_time_for_an_annealed_training_is_refused(
    train: Train, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("budget=2s")
    with pytest.raises(SystemExit):
        command(f"ckpt={run.path}", "budget=4s")
    assert "budget=4s: this training has used up the 2 s that it had" in capsys.readouterr().err
