"""The bar and the lines of a training's progress."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from zoomsr.training.callbacks.progress import EpochBar


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
