"""Training losses that PyTorch lacks; ``loss=mae`` and ``loss=mse`` are torch.nn's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Charbonnier(nn.Module):
    """A smooth MAE: mean of sqrt((sr - hr)^2 + eps^2).

    Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for computed imaging", ICIP 1994;
    made common in super-resolution by LapSRN (Lai et al., CVPR 2017, arXiv:1704.03915).

    Args:
        eps: where the parabola turns into the straight line, on [0, 1]; 1e-3 is a quarter of a grey level.
    """

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"eps {eps} must be positive: with 0 the gradient is infinite where sr equals hr")
        self.eps = eps

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two tensors of the same shape to a scalar."""
        return torch.sqrt((sr - hr).square() + self.eps**2).mean()
