"""The bar and the lines of a training's progress."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from zoomsr.runs.run import Run
from zoomsr.training.callbacks import progress
from zoomsr.training.callbacks.progress import EpochBar, EpochLines


@pytest.mark.parametrize(("max_epochs", "shown"), [(-1, "Epoch 4"), (10, "Epoch 4/10")])
def test_epochs_count_from_1_and_no_last_one_is_named_where_there_is_none(max_epochs: int, shown: str) -> None:
    bar = EpochBar(every_n_steps=5)
    bar._trainer = Trainer(max_epochs=max_epochs, logger=False, accelerator="cpu", enable_checkpointing=False)
    assert bar._get_train_description(3).strip() == shown


def test_the_bar_shows_the_loss_of_logged_steps_and_the_last_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EpochBar.__base__, "on_train_batch_end", lambda *_: None)
    bar, module = EpochBar(every_n_steps=5), cast(LightningModule, None)
    state: Any = SimpleNamespace(global_step=1, accumulate_grad_batches=2, callback_metrics={})
    for step, loss in ((1, 0.25), (2, 0.2), (5, 0.125), (6, 0.1)):
        state.global_step = step
        bar.on_train_batch_end(state, module, {"loss": torch.tensor(loss)}, None, 0)
        assert bar.get_metrics(state, module) == {"loss": "0.5000" if step < 5 else "0.2500"}
    state.callback_metrics["val/psnr_y"] = torch.tensor(33.456)
    assert bar.get_metrics(state, module) == {"loss": "0.2500", "val/psnr_y": "33.46"}


def test_a_long_epoch_says_each_minute_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(EpochLines, "total_train_batches", 100)
    monkeypatch.setattr(EpochLines, "total_val_batches_current_dataloader", 30)
    lines, module = EpochLines(), cast(LightningModule, None)
    trainer: Any = SimpleNamespace(max_epochs=10, current_epoch=2, is_global_zero=True)
    lines.on_train_start(trainer)
    for number in range(40, 60):  # resumed within the epoch
        now[0] += 10
        lines.on_train_batch_end(trainer, module, None, None, number)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "epoch 3/10  step 46 of 100, about 9 min left",
        "epoch 3/10  step 52 of 100, about 8 min left",
        "epoch 3/10  step 58 of 100, about 7 min left",
    ]
    for number in range(9):
        now[0] += 15
        lines.on_validation_batch_end(trainer, module, None, None, number)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 3/10  validation 3 of 30, about 7 min left",
        "epoch 3/10  validation 7 of 30, about 6 min left",
    ]
    trainer.current_epoch, trainer.is_global_zero = 3, False
    for number in range(20):
        now[0] += 10
        lines.on_train_batch_end(trainer, module, None, None, number)
    assert capsys.readouterr().out == ""


def test_a_training_says_how_far_its_steps_its_validation_and_its_test_are(
    train: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.0)
    train("trainer.max_epochs=1", "data.val_fraction=0.4")  # 4 photographs to train on, 2 for validation
    said = capsys.readouterr().out
    assert re.findall(r"^epoch 1/1  step (\d) of 4", said, re.MULTILINE) == ["1", "2", "3", "4"]
    assert re.findall(r"^epoch 1/1  validation (\d) of 2", said, re.MULTILINE) == ["1", "2"]
    assert re.findall(r"^test (\d) of 2", said, re.MULTILINE) == ["1", "2"]


def test_a_short_training_says_nothing_but_its_epochs(
    train: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    train("trainer.max_epochs=2")
    said = capsys.readouterr().out
    assert re.findall(r"^epoch (\d)/2  (\S+)", said, re.MULTILINE) == [("1", "train/mae"), ("2", "train/mae")]
    assert not re.search(r"^test \d", said, re.MULTILINE)
