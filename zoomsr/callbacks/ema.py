"""The running mean of the weights, which is what is measured and kept."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging


class EMA(WeightAveraging):
    """An exponential moving average whose memory grows with the training, up to ``decay``.

    It is the first step's weights, and has forgotten them when a short training ends: see ``share``. Buffers are
    copied, not averaged: the mean of equal resampling weights is not quite equal to them.

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

    def share(self, step: int) -> float:
        """How much of the way to the weights the mean goes after step t, from 0: 1 - min(decay, (1 + t) / (10 + t)).

        As TensorFlow's ``ExponentialMovingAverage(num_updates)``.
        """
        return 1 - min(self._decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the mean after every optimizer step.

        Not by torch's ``update_parameters``, which asks the device for the number of updates, and so waits for it.
        """
        if trainer.global_step <= self._latest_update_step or self._average_model is None:
            return
        mean, is_first = self._average_model.module, self._latest_update_step == 0
        share = 1.0 if is_first else self.share(trainer.global_step - 1)
        torch._foreach_lerp_(list(mean.parameters()), list(pl_module.parameters()), share)
        if buffers := list(mean.buffers()):
            torch._foreach_copy_(buffers, list(pl_module.buffers()))
        self._average_model.n_averaged += 1
        self._latest_update_step = trainer.global_step
