"""Exponential moving average of the weights: what is validated, tested and kept."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, WeightAveraging


def moving_average(decay: float | None) -> Callback:
    """``EMA``, or a callback that does nothing where there is no decay."""
    return Callback() if decay is None else EMA(decay)


class EMA(WeightAveraging):
    """An exponential moving average whose decay grows with the training, up to ``decay``.

    After step t (from 0) the average moves by 1 - min(decay, (1 + t) / (10 + t)) of the way to the weights, so that a
    short training forgets its first weights too (TensorFlow's ``ExponentialMovingAverage(num_updates)``). The first
    update copies the weights. Buffers are copied: the mean of equal resampling weights is not quite equal to them.

    Args:
        decay: per step, on [0, 1).

    Raises:
        ValueError: a decay outside.
    """

    def __init__(self, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"ema={decay} must be at least 0 and less than 1: 0.999")
        super().__init__(use_buffers=False)
        self._decay = decay

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the average on the device; Lightning would keep it where the module is now, on the host."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged = torch.tensor(0)  # on the host, because every step reads it

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """After every optimizer step. torch's ``update_parameters`` would wait for the device each time."""
        average, step = self._average_model, trainer.global_step - 1
        if average is None or trainer.global_step <= self._latest_update_step:
            return
        share = 1.0 if average.n_averaged == 0 else 1 - min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.module.parameters()), list(pl_module.parameters()), share)
            for own, theirs in zip(average.module.buffers(), pl_module.buffers(), strict=True):
                own.copy_(theirs)
        average.n_averaged += 1
        self._latest_update_step = trainer.global_step
