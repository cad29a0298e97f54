"""Learning-rate schedules as factors of the training done, so that ``trainer.max_epochs`` stretches them.

Each takes an optimizer and the total number of its steps; the trainer steps it after every optimizer step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """The optimizer's own learning rate throughout."""
    return LambdaLR(optimizer, lambda step: 1.0)


def cosine(
    optimizer: Optimizer, total_steps: int, *, warmup: float = 0.02, min_warmup: int = 0, floor: float = 0.01
) -> LambdaLR:
    """A linear warm-up, then half a cosine down to ``floor``.

    Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, arXiv:1608.03983.

    Args:
        optimizer: its learning rate is the peak.
        total_steps: optimizer steps of the whole training.
        warmup: share of the steps spent rising from 0 to the peak.
        min_warmup: steps that this takes at least, but no more than half of all: Adam's first steps are as large as its
            learning rate, and take a net that begins near bicubic away from it.
        floor: last factor.
    """
    warmup_steps = max(1, round(warmup * total_steps), min(min_warmup, total_steps // 2))

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))

    return LambdaLR(optimizer, factor)


def steps(optimizer: Optimizer, total_steps: int, *, at: Sequence[float] = (0.5, 0.75), gamma: float = 0.1) -> LambdaLR:
    """Multiply the learning rate by ``gamma`` at each share of the training in ``at`` (VDSR: 1/4, 1/2, 3/4)."""
    return LambdaLR(optimizer, lambda step: gamma ** sum(step >= share * total_steps for share in at))
