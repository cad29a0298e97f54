"""The seams that a program's tiling leaves, measured on photographs.

Tiles as darktable cuts them: ``dt_restore_process_tiled`` in ``src/common/ai/restore_rgb.c`` of darktable-org/darktable
at a96b701, with the periodic mirror of ``restore_common.h`` at 219ce13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoomsr.models import Net

HALF_LEVEL = 0.5
"""Of 255: what no rounding to 8 bits can turn into more than one level."""

RunTile = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Seam:
    """Differences that tiles make, in 8-bit levels before rounding, clipped as a picture is.

    Attributes:
        tile: side of a tile in lr pixels.
        overlap: lr pixels on each side of a tile that are cut off again.
        most: the largest difference from the net run without tiles on the picture, mirrored at its border.
        mean: of the same differences.
        border: what mirroring the picture changes at its border, at most, where the net itself pads it.
        needed: the least overlap with which ``most`` is at most half a level; None where none of those tried is.
    """

    tile: int
    overlap: int
    most: float
    mean: float
    border: float
    needed: int | None


@torch.inference_mode()
def measured(net: Net, run: RunTile, pictures: Sequence[Tensor], *, tile: int, overlap: int) -> Seam:
    """The seam of a net that a program runs in tiles.

    Wider overlaps are tried in steps of ``overlap`` up to the net's halo, where this one leaves more than half a level.

    Args:
        net: the net itself.
        run: what the program runs: (1, 3, tile, tile) to (1, 3, scale tile, scale tile).
        pictures: (1, 3, H, W) on [0, 1], both sides at least 2.
        tile: side in lr pixels.
        overlap: of the program.
    """
    wholes = [_mirrored_whole(net, picture) for picture in pictures]
    step = tile - 2 * overlap

    def differences(overlap: int) -> Iterator[Tensor]:
        for picture, whole in zip(pictures, wholes, strict=True):
            sr = tiled(run, picture, scale=net.scale, tile=step + 2 * overlap, overlap=overlap)  # the same seams
            yield (sr.clamp_(0, 1) - whole).abs_().mul_(255)

    found = list(differences(overlap))
    most = max(float(one.max()) for one in found)
    mean = sum(float(one.sum()) for one in found) / sum(one.numel() for one in found)
    padded = [(net(picture).clamp_(0, 1) - whole).abs_() for picture, whole in zip(pictures, wholes, strict=True)]
    border = 255 * max(float(one.max()) for one in padded)
    needed = overlap if most <= HALF_LEVEL else None
    for wider in range(2 * overlap, net.halo + overlap, overlap) if needed is None else ():
        if all(float(one.max()) <= HALF_LEVEL for one in differences(wider)):
            needed = wider
            break
    return Seam(tile, overlap, most, mean, border, needed)


def _mirrored_whole(net: Net, lr: Tensor) -> Tensor:
    """The picture without tiles, which goes on as its mirror image as far as the net sees."""
    (height, width), reach = lr.shape[-2:], -(-net.halo // net.multiple_of) * net.multiple_of
    sr = net(lr[..., _mirrored(height, height, reach), :][..., _mirrored(width, width, reach)])
    top, left = (slice(net.scale * reach, net.scale * (reach + side)) for side in (height, width))
    return sr[..., top, left].clamp(0, 1)


def tiled(run: RunTile, lr: Tensor, *, scale: int, tile: int, overlap: int) -> Tensor:
    """A picture as a program makes it that runs tiles of one size, cuts off their overlap, and mirrors the border.

    Args:
        run: (1, 3, tile, tile) to (1, 3, scale tile, scale tile).
        lr: (1, 3, H, W), both sides at least 2.
        scale: of ``run``.
        tile: side in lr pixels.
        overlap: lr pixels.

    Returns:
        (1, 3, scale H, scale W).
    """
    height, width = lr.shape[-2:]
    step = tile - 2 * overlap
    padded = lr[..., _mirrored(height, step, overlap), :][..., _mirrored(width, step, overlap)]
    rows, edge = range(0, height, step), slice(scale * overlap, scale * (overlap + step))
    strips = []
    for top in rows:
        tiles = [run(padded[..., top : top + tile, left : left + tile]) for left in range(0, width, step)]
        strips.append(torch.cat([one[..., edge, edge] for one in tiles], dim=-1))
    return torch.cat(strips, dim=-2)[..., : scale * height, : scale * width]


def _mirrored(side: int, step: int, overlap: int) -> Tensor:
    """Indices from ``-overlap`` to ``overlap`` after the last tile, reflected about the first and the last pixel."""
    index = torch.arange(-overlap, -(-side // step) * step + overlap).abs_() % (2 * (side - 1))
    return torch.minimum(index, 2 * (side - 1) - index)
