"""The geometric self-ensemble: eight turns of the picture, one mean."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfEnsemble(nn.Module):
    """Enlarge the eight turns of the picture (dihedral group), turn back, and take the mean; a net like any other.

    Timofte, Rothe & Van Gool, "Seven ways to improve example-based single image super resolution", CVPR 2016,
    arXiv:1511.02228; "x8" or "+" in tables.

    A net that pools pads its input at the bottom and the right until it fills the net's grid. Of a turned picture those
    would be other sides, and its pooling cells would lie elsewhere than a tile's: it is padded once, before it turns.

    Args:
        net: a net with the contract of ``zoomsr.models.Net``.
    """

    scale: int
    channels: int
    multiple_of: int
    halo: int

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        for name in ("scale", "channels", "multiple_of", "halo"):
            setattr(self, name, getattr(net, name))
        self.lr_8bit = getattr(net, "lr_8bit", False)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W)."""
        height, width = lr.shape[-2:]
        padded = F.pad(lr, (0, -width % self.multiple_of, 0, -height % self.multiple_of), mode="replicate")
        total = torch.zeros((), device=lr.device)
        for quarter in range(4):
            turned = padded.rot90(quarter, (-2, -1))
            total = total + self.net(turned).rot90(-quarter, (-2, -1))
            total = total + self.net(turned.flip(-1)).flip(-1).rot90(-quarter, (-2, -1))
        return total[..., : height * self.scale, : width * self.scale] / 8
