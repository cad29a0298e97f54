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
    """Differences of a tiled picture from the whole one, in 8-bit levels before rounding, clipped as a picture is.

    Attributes:
        tile: side of a tile in lr pixels.
        overlap: lr pixels on each side of a tile that are cut off again.
        most: the largest one, more than ``overlap`` from the picture's border.
        mean: of the same pixels.
        border: the largest one nearer to the border, where the program mirrors the picture and the net pads it.
        needed: the least overlap with which ``most`` is at most half a level; None where no overlap reaches that.
    """

    tile: int
    overlap: int
    most: float
    mean: float
    border: float
    needed: int | None


@torch.inference_mode()
def measured(
    net: Net, run: RunTile, pictures: Sequence[Tensor], *, tile: int, overlap: int, wider: Sequence[int]
) -> Seam:
    """The seam of a net that a program runs in tiles.

    Args:
        net: gives the whole pictures, as ``zoom`` does without back-projection.
        run: what the program runs: (1, 3, tile, tile) to (1, 3, scale tile, scale tile).
        pictures: (1, 3, H, W) on [0, 1], larger than two overlaps.
        tile: side in lr pixels.
        overlap: of the program.
        wider: overlaps to try where this one leaves more than half a level, in ascending order.
    """
    wholes = [net(picture).clamp_(0, 1) for picture in pictures]
    step = tile - 2 * overlap

    def differences(overlap: int) -> Iterator[tuple[Tensor, Tensor]]:
        """In levels, of whole pictures; and a view of what lies farther from the border than the overlap."""
        inner = slice(overlap * net.scale, -overlap * net.scale)
        for picture, whole in zip(pictures, wholes, strict=True):
            sr = tiled(run, picture, scale=net.scale, tile=step + 2 * overlap, overlap=overlap)  # the same seams
            difference = (sr.clamp_(0, 1) - whole).abs_().mul_(255)
            yield difference, difference[..., inner, inner]

    found = list(differences(overlap))
    most = max(float(inner.max()) for _, inner in found)
    mean = sum(float(inner.sum()) for _, inner in found) / sum(inner.numel() for _, inner in found)
    for _, inner in found:
        inner.zero_()  # what is left is the border
    border = max(float(whole.max()) for whole, _ in found)
    needed = overlap if most <= HALF_LEVEL else None
    least_side = min(min(picture.shape[-2:]) for picture in pictures)
    for other in (one for one in wider if needed is None and 2 * one < least_side):
        if all(float(inner.max()) <= HALF_LEVEL for _, inner in differences(other)):
            needed = other
            break
    return Seam(tile, overlap, most, mean, border, needed)


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
