"""What stands between the truth and the picture at hand: hr -> lr, and lr -> the hr grid.

One object serves in three places: it makes the lr of a training pair, it is the bicubic baseline, and it is the data
term of a plug-and-play prior. All of them take (..., C, H, W) on any device.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from zoomsr.resize import downscale, resize


class Degradation(Protocol):
    """The contract of a degradation.

    ``down`` of a float image stays float, neither rounded nor clipped; ``down`` of a uint8 image is the uint8 image
    that a file would hold. A random degradation draws from ``generator`` alone.
    """

    scale: int

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(..., C, scale H, scale W) to (..., C, H, W)."""
        ...

    def up(self, lr: Tensor) -> Tensor:
        """(..., C, H, W) to (..., C, scale H, scale W)."""
        ...


class Bicubic:
    """MATLAB's antialiased ``imresize`` to 1/scale: the degradation of the published benchmarks."""

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See ``Degradation.down``. Raises ValueError where a side is no multiple of the scale."""
        return downscale(hr, self.scale)

    def up(self, lr: Tensor) -> Tensor:
        """Bicubic enlargement."""
        return _bicubic_up(lr, self.scale)


class Box:
    """The mean of each scale x scale block, as a camera's pixel collects light: the seed study's degradation."""

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See ``Degradation.down``. Raises ValueError where a side is no multiple of the scale."""
        height, width = hr.shape[-2:]
        if height % self.scale or width % self.scale:
            raise ValueError(f"{height}x{width} is not a multiple of {self.scale}: crop it first")
        if hr.dtype == torch.uint8:
            return F.avg_pool2d(hr.float(), self.scale).add(0.5).floor().to(torch.uint8)
        return F.avg_pool2d(hr, self.scale)

    def up(self, lr: Tensor) -> Tensor:
        """Bicubic enlargement: block means sit on the same centres as bicubic samples."""
        return _bicubic_up(lr, self.scale)


def _bicubic_up(lr: Tensor, scale: int) -> Tensor:
    height, width = lr.shape[-2:]
    return resize(lr, (height * scale, width * scale))
