"""Trainings that are sent signals."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.runs.run import Run

Train = Callable[..., Run]

SENDS = "+callbacks.signals._target_=_support.signals.Signals"


class Signals(Callback):
    """Sends this process signals before the seventh step, which is in the second epoch."""

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = numbers

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 6:
            for number in self._numbers:
                signal.raise_signal(number)


@pytest.fixture
def own_handlers() -> Iterator[None]:
    """Afterwards signals are handled as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup make test ignores it, and a run respects that
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def stopped(train: Train, *numbers: int, overrides: Sequence[str] = ()) -> int | str | None:
    """A run's exit code after these signals."""
    names = ",".join(str(int(number)) for number in numbers)
    with pytest.raises(SystemExit) as stop:
        train(SENDS, f"+callbacks.signals.numbers=[{names}]", *overrides)
    return stop.value.code


def steps_of(run: Path) -> int:
    """Optimizer steps that a run's last checkpoint has."""
    step: int = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    return step
