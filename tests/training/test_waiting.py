"""No step of a training waits for the device. ``watching`` has the same check on CUDA, for the tests of GPUs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from _support.watching import STAND_IN, WATCH, WaitsError, Watched, no_waiting
from torch import Tensor

from zoomsr.data.datamodule import PairsDataModule
from zoomsr.models.srcnn import SRCNN
from zoomsr.training.callbacks.guard import _Finite
from zoomsr.training.recipe import train

Settings = Callable[..., dict[str, Any]]

RICH = ("callbacks.progress._target_=lightning.pytorch.callbacks.RichProgressBar", "~callbacks.progress.every_n_steps")
LONG = ["data.patches_per_image=12", "trainer.max_epochs=1"]


@pytest.fixture(autouse=True)
def _meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be had without CUDA: page-locked memory, an event, and autocast by the device's name.

    And what Lightning asks before the first step: how long the epoch is.
    """
    send = PairsDataModule.transfer_batch_to_device

    def sent(self: PairsDataModule, *arguments: Any) -> Any:
        with torch.utils._python_dispatch._disable_current_modes():
            return send(self, *arguments)

    monkeypatch.setattr(PairsDataModule, "transfer_batch_to_device", sent)
    for loop in ("fit_loop", "evaluation_loop"):
        monkeypatch.setattr(f"lightning.pytorch.loops.{loop}.has_len_all_ranks", lambda *_: True)
    monkeypatch.setattr(_Finite, "read", lambda self: True)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["ema=0.9", "trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=0.5", "scheduler=steps"],
        ["data.y_only=true", "model.channels=1", *RICH, "optimizer=adamw", "loss=charbonnier"],
        ["loss=mae_frequency", "optimizer=sgd", "data.pack_lr=false", "degradation=blur_bicubic"],
    ],
    ids=lambda overrides: " ".join(overrides) or "plain",
)
def test_no_step_waits_for_the_device(settings: Settings, overrides: list[str]) -> None:
    with pytest.raises(Watched):
        train(settings("run", *LONG, *WATCH, *STAND_IN, *overrides))


class Copies(SRCNN):
    def forward(self, lr: Tensor) -> Tensor:
        return super().forward(lr) + torch.zeros(1).to(lr.device)


def test_a_net_that_waits_ends_the_training(settings: Settings) -> None:
    with pytest.raises(WaitsError, match=r"a blocking copy of \(1,\) to meta"):
        train(settings("run", *LONG, *WATCH, *STAND_IN, "model._target_=test_waiting.Copies"))


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda x: x.mean() > 2 or 0, "cannot be called on meta tensors|meta"),
        (lambda x: x[x > 2], "meta"),
        (lambda x: x.cpu(), "Cannot copy out of meta"),
        (lambda x: x.tolist(), "meta"),
        (lambda x: x.add_(torch.tensor([1.0], device=x.device)), "torch.tensor"),
        (lambda x: x.__setitem__(0, 1.0), r"tensor\[...\] = 1.0"),
        (lambda x: x.copy_(torch.ones(3)), r"a blocking copy of \(3,\)"),
    ],
)
def test_what_waits_is_found(operation: Callable[[Tensor], Any], message: str) -> None:
    x = torch.ones(3, device="meta")
    with no_waiting(x.device), pytest.raises((WaitsError, RuntimeError, NotImplementedError), match=message):
        operation(x)


def test_what_does_not_wait_passes() -> None:
    x = torch.ones(3, device="meta")
    with no_waiting(x.device):
        x[:1].fill_(1)
        x.copy_(torch.ones(3), non_blocking=True)
        torch.where(x > 2, 1.0, x).sum()
