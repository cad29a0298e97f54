"""The running mean of the weights, which is what is measured and kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class EMA(WeightAveraging):
    """An exponential moving average whose memory grows with the training, up to ``decay``.

    After step t (from 0) the mean moves by 1 - min(decay, (1 + t) / (10 + t)) of the way to the weights, so that it
    has forgotten the first weights when a short training ends (TensorFlow's ``ExponentialMovingAverage(num_updates)``).

    Buffers are copied, not averaged: the mean of equal resampling weights is not quite equal to them.

    Args:
        decay: per step, on [0, 1).

    Raises:
        ValueError: a decay outside.
    """

    def __init__(self, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"ema={decay} must be at least 0 and less than 1: 0.999")
        super().__init__(use_buffers=False, multi_avg_fn=self._move)
        self._decay = decay
        self._share = 1.0

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """After every step."""
        if step_idx is None:
            return False
        self._share = 1 - min(self._decay, (1 + step_idx) / (10 + step_idx))
        return True

    def _move(self, means: Sequence[Tensor], weights: Sequence[Tensor], n_averaged: Tensor | int) -> None:
        torch._foreach_lerp_(list(means), list(weights), self._share)
