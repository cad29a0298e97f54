"""The running mean of the weights, which is what is measured and kept."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging


class EMA(WeightAveraging):
    """An exponential moving average whose memory grows with the training, up to ``decay``.

    After step t (from 0) the mean moves by 1 - min(decay, (1 + t) / (10 + t)) of the way to the weights, so that it
    has forgotten the first weights when a short training ends (TensorFlow's ``ExponentialMovingAverage(num_updates)``).
    The first update copies them.

    Buffers are copied, not averaged: the mean of equal resampling weights is not quite equal to them.

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
        """Keep the mean on the device; Lightning takes where the module is now, before it is moved there: the host."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged = torch.tensor(0)  # on the host, because every step reads it

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After every optimizer step; not by torch's ``update_parameters``, which waits for the device each time."""
        mean, step = self._average_model, trainer.global_step - 1
        if mean is None or trainer.global_step <= self._latest_update_step:
            return
        share = 1.0 if mean.n_averaged == 0 else 1 - min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(mean.module.parameters()), list(pl_module.parameters()), share)
            for own, theirs in zip(mean.module.buffers(), pl_module.buffers(), strict=True):
                own.copy_(theirs)
        mean.n_averaged += 1
        self._latest_update_step = trainer.global_step
