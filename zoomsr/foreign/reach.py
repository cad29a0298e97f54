"""How far a net sees whose layers are not known: measured by cutting a picture apart.

Its tiles are right where a cut changes nothing. A made picture is run whole and in quarters, and the halo is the
distance from the cuts beyond which both agree. The quarters begin at multiples of 64 px; a shorter grid is taken where
a picture that is shifted by it gives the same pixels. Nets that look at the whole picture (global pooling, attention
over channels) agree nowhere: they get a fixed halo, and the seam that it leaves is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

RunNet = Callable[[Tensor], Tensor]
"""(1, C, H, W) on [0, 1] to (1, C, scale H, scale W), any H and W."""

LIMIT = 1 / 40
"""In 8-bit levels: a difference that is none, as between engines."""

_GRID = 64  # of the quarters: every usual grid divides it
_SIDES = (2, 6)  # of the pictures that are tried, in grids: 128 and 384 px


@dataclass(frozen=True)
class Reach:
    """What tiles of a net need.

    Attributes:
        multiple_of: the grid on which tiles begin, in lr pixels.
        halo: lr pixels around a tile.
        seam: the largest difference that tiles with this halo made, in 8-bit levels, on the made picture.
    """

    multiple_of: int
    halo: int
    seam: float

    @property
    def is_exact(self) -> bool:
        """Whether tiles changed nothing."""
        return self.seam <= LIMIT

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether it is at most a quarter of a fixed (height, width): with more, most of a window would be cut off."""
        return max(self.multiple_of, self.halo) <= min(size) // 4


@torch.inference_mode()
def measured_reach(run: RunNet, *, scale: int, channels: int, size_multiple: int) -> Reach:
    """Measure a net, on 33,000 lr pixels where it sees little, else on 330,000.

    Args:
        run: the net, which pads its input at the right and the bottom.
        scale: of the net.
        channels: of its input.
        size_multiple: to which sides it pads.
    """
    grid = -(-_GRID // size_multiple) * size_multiple
    for side in (count * grid for count in _SIDES):
        picture = _picture(side, channels)
        whole = run(picture)
        seams = _seams(run, picture, whole, scale=scale)
        farthest = 3 * side // 8  # beyond it too few pixels are left to judge by
        halo = next((halo for halo in range(farthest + 1) if seams[halo] <= LIMIT), None)
        if halo is not None:
            return Reach(_shortest_grid(run, picture, whole, scale, halo, size_multiple, grid), halo, seams[halo])
    return Reach(grid, farthest, seams[farthest])


@torch.inference_mode()
def measured_reach_of_size(run: RunNet, *, scale: int, channels: int, size: tuple[int, int]) -> Reach:
    """Measure a net that takes pictures of one size alone, on two windows into a picture, one of them shifted.

    The grid is the shortest shift after which both agree at some distance from their ends. Only what fits is tried.

    Args:
        run: the net.
        scale: of the net.
        channels: of its input.
        size: (height, width), at least 16.
    """
    (height, width), most = size, min(size) // 4
    picture = _picture(max(size) + 64, channels)
    first, found = run(picture[..., :height, :width]), []
    for shift in (2**n for n in range(most.bit_length())):
        shifted = run(picture[..., shift : shift + height, shift : shift + width])
        shared = first[..., scale * shift :, scale * shift :]
        difference = shared - shifted[..., : shared.shape[-2], : shared.shape[-1]]
        rows, columns = (torch.arange(side - shift) for side in size)
        rows, columns = torch.minimum(rows, rows.flip(0)), torch.minimum(columns, columns.flip(0))
        seams = _by_distance(difference, rows, columns, scale=scale)
        halo = next((halo for halo in range(most) if seams[halo] <= LIMIT), most)
        found.append(Reach(shift, halo, seams[halo]))
        if found[-1].is_exact:
            break
    return min(found, key=lambda reach: reach.seam)


def _picture(side: int, channels: int) -> Tensor:
    """Smooth shades, with noise in some places and none in others."""
    generator = torch.Generator().manual_seed(0)

    def smooth(step: int, channels: int) -> Tensor:
        small = torch.rand(1, channels, side // step, side // step, generator=generator)
        return F.interpolate(small, (side, side), mode="bicubic", antialias=False).clamp(0, 1)

    noise = torch.rand(1, channels, side, side, generator=generator) - 0.5
    return (smooth(16, channels) + 0.6 * smooth(32, 1).sub(0.4).relu() * noise).clamp(0, 1)


def _seams(run: RunNet, picture: Tensor, whole: Tensor, *, scale: int) -> list[float]:
    """See ``_by_distance``, of quarters against the whole."""
    middle = picture.shape[-1] // 2
    parts = [slice(0, middle), slice(middle, None)]
    rows = [torch.cat([run(picture[..., one, other]) for other in parts], dim=-1) for one in parts]
    distance = torch.cat([torch.arange(middle).flip(0), torch.arange(middle)])
    return _by_distance(torch.cat(rows, dim=-2) - whole, distance, distance, scale=scale)


def _by_distance(difference: Tensor, rows: Tensor, columns: Tensor, *, scale: int) -> list[float]:
    """The largest difference, in 8-bit levels, at each distance from the cuts or farther.

    Args:
        difference: (1, C, scale H, scale W).
        rows: (H,), how far each is from the nearest cut.
        columns: (W,).
        scale: of the net.
    """
    levels = 255 * F.max_pool2d(difference.abs().float(), scale).amax((0, 1)).cpu()
    distance = torch.minimum(rows[:, None], columns[None])
    worst = torch.zeros(int(distance.max()) + 1).scatter_reduce_(0, distance.flatten(), levels.flatten(), "amax")
    return [float(value) for value in worst.flip(0).cummax(0).values.flip(0)]


def _shortest_grid(
    run: RunNet, picture: Tensor, whole: Tensor, scale: int, halo: int, size_multiple: int, grid: int
) -> int:
    """The shortest shift, a power of two times ``size_multiple``, that shifts the output by as much."""
    shift = size_multiple
    while shift < grid:
        shifted, inner = run(picture[..., shift:, shift:]), slice(scale * halo, -scale * halo or None)
        wanted = whole[..., scale * shift :, scale * shift :]
        difference = (shifted - wanted)[..., inner, inner].abs().max()
        if grid % shift == 0 and 255 * float(difference) <= LIMIT:
            return shift
        shift *= 2
    return grid
