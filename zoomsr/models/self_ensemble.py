"""The geometric self-ensemble: the mean over eight flips and rotations of the input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoomsr.models import Around


class SelfEnsemble(Around):
    """Upscale eight flips and rotations of the input (dihedral group), invert them, take the mean; a net as any other.

    Timofte, Rothe & Van Gool, "Seven ways to improve example-based single image super resolution", CVPR 2016,
    arXiv:1511.02228; "x8" or "+" in tables.

    A net that pools pads its input at the bottom and the right to fill its grid. In a rotated input those would be
    other sides, and pooling cells would not lie as those of a tile: the input is padded once, before it is rotated.

    Args:
        net: a net with the contract of ``zoomsr.models.Net``.
    """

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W)."""
        height, width = lr.shape[-2:]
        padded = F.pad(lr, (0, -width % self.multiple_of, 0, -height % self.multiple_of), mode="replicate")
        total = torch.zeros((), device=lr.device)
        for index in range(8):
            total = total + turn_back(self.net(turn(padded, index)), index)
        return total[..., : height * self.scale, : width * self.scale] / 8


def turn(image: Tensor, index: int) -> Tensor:
    """An image (..., H, W) rotated by ``index // 2`` quarters of a turn, then mirrored where ``index`` is odd."""
    rotated = image.rot90(index // 2, (-2, -1))
    return rotated.flip(-1) if index % 2 else rotated


def turn_back(image: Tensor, index: int) -> Tensor:
    """Undo ``turn``."""
    return (image.flip(-1) if index % 2 else image).rot90(-(index // 2), (-2, -1))
