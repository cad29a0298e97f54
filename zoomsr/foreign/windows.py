"""A picture of any size through a net that takes one size alone: in windows of it, which overlap."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from zoomsr.foreign.reach import Reach


class Window(NamedTuple):
    """Along one side, in lr pixels: the net gets what begins at ``start``, ``first`` ... ``last - 1`` are kept."""

    start: int
    first: int
    last: int

    def kept(self, scale: int) -> slice:
        """Of the net's output."""
        return slice(scale * (self.first - self.start), scale * (self.last - self.start))


def windows(length: int, size: int, reach: Reach) -> list[Window]:
    """As few windows as cover a side.

    All begin on the net's grid, the first with the side; the last ends with it, or by less than a grid beyond. Every
    cut lies in the middle of what two windows share, which is at least two halos.

    Args:
        length: of the side.
        size: of a window: at least two halos and a grid.
        reach: of the net.
    """
    grid = reach.multiple_of
    step = (size - 2 * reach.halo) // grid * grid
    steps = max(0, -(-(length - size) // step))
    starts = [-(-n * (length - size) // (max(1, steps) * grid)) * grid for n in range(steps + 1)]
    cuts = [0, *((one + size + other) // 2 for one, other in pairwise(starts)), length]
    return [Window(start, *kept) for start, kept in zip(starts, pairwise(cuts), strict=True)]


def upscaled_in_windows(
    run: Callable[[Tensor], Tensor], lr: Tensor, size: tuple[int, int], reach: Reach, *, scale: int
) -> Tensor:
    """A picture (1, C, H, W) to (1, C, scale H, scale W).

    Args:
        run: the net, which is given no more than ``size``, and mirrors what is smaller.
        lr: the picture.
        size: (height, width) of a window.
        reach: of the net.
        scale: of the net.
    """
    rows, columns = (windows(*sides, reach) for sides in zip(lr.shape[-2:], size, strict=True))
    bands = []
    for row in rows:
        band = lr[..., row.start : row.start + size[0], :]
        parts = (run(band[..., one.start : one.start + size[1]]) for one in columns)
        kept = [sr[..., row.kept(scale), one.kept(scale)] for one, sr in zip(columns, parts, strict=True)]
        bands.append(torch.cat(kept, dim=-1))
    return torch.cat(bands, dim=-2)
