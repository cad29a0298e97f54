"""Exact tiled inference: a picture of any size through any net, in bounded memory, without seams.

Tiles are not blended. Each is cut with a halo around it, wide enough for every pixel that its inside depends on, runs
through the net, and loses the halo again; at the picture's border a tile ends where the picture ends, so that the net
pads it as it would pad the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from zoomsr.hardware.devices import full_float32, is_out_of_memory
from zoomsr.imaging.pixels import PixelArray
from zoomsr.models import Net

TILE = 512
"""Side in lr pixels. Larger ones gain nothing on CPUs, whose caches they leave."""


class TileSource(Protocol):
    """What tiles are cut from: an array, a memory map, or a file that is read as it is needed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, C)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8, uint16, or float32 on [0, 1]."""
        ...

    def __getitem__(self, area: tuple[slice, slice]) -> PixelArray:
        """(h, w, C)."""
        ...


class TileSink(Protocol):
    """What tiles are written into: an array, or a file."""

    def __setitem__(self, area: tuple[slice, slice], pixels: PixelArray) -> None:
        """(h, w, C)."""
        ...


class Region(NamedTuple):
    """A rectangle in lr pixels: rows top ... bottom - 1, columns left ... right - 1."""

    top: int
    left: int
    bottom: int
    right: int

    def grown(self, margin: int, height: int, width: int) -> Region:
        """With a margin on every side, as far as the picture goes."""
        top, left = max(0, self.top - margin), max(0, self.left - margin)
        return Region(top, left, min(height, self.bottom + margin), min(width, self.right + margin))

    def cut(self, *, tile: int, margin: int, grid: int) -> Iterator[Region]:
        """Into parts, rows first; all begin on the net's grid."""
        height, width = _sides(self.bottom - self.top, self.right - self.left, tile=tile, margin=margin, grid=grid)
        for top in range(self.top, self.bottom, height):
            for left in range(self.left, self.right, width):
                yield Region(top, left, min(top + height, self.bottom), min(left + width, self.right))


def upscale_tiled(
    net: Net,
    source: TileSource,
    out: TileSink,
    *,
    device: torch.device,
    tile: int = TILE,
    halo: int | None = None,
    bfloat16: bool = False,
    advance: Callable[[int], None] = lambda pixels: None,
) -> None:
    """Enlarge a picture into ``out``, which gets each tile as soon as it is done.

    With the net's own halo the result is that of the whole picture, but for the order of sums (1e-6).

    Args:
        net: on the device, in eval mode.
        source: (H, W, C) of uint8, uint16, or float32 on [0, 1]; C is 1 or 3.
        out: (scale H, scale W, C) of the same type. Whole levels are clipped and rounded half up; floats are not.
        device: where the net is.
        tile: side in lr pixels, rounded up to the net's grid; parts of another shape are as large. Halved as often as
            memory does not suffice.
        halo: lr pixels around a tile; None for the net's receptive radius, which is exact.
        bfloat16: run the net's layers in it, where they allow it.
        advance: called with the number of output pixels that are done.

    Raises:
        ValueError: a tile below 1, or memory does not suffice for the smallest one.
    """
    if tile < 1:
        raise ValueError(f"a tile of {tile} pixels: it must be at least 1")
    grid = net.multiple_of
    tile = _up_to(tile, grid)
    margin = _up_to(net.halo if halo is None else halo, grid)
    waiting = Region(0, 0, *source.shape[:2]).cut(tile=tile, margin=margin, grid=grid)
    while (area := next(waiting, None)) is not None:
        larger, reason = None, ""
        try:
            larger = _larger(net, source, area, margin, device, bfloat16=bfloat16)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).split("\n")[0]
        if larger is not None:
            place, pixels = larger
            out[place] = pixels
            advance(pixels.shape[0] * pixels.shape[1])
            continue
        # Not in the except clause, where the error's traceback still holds the tensors of the run that failed.
        if tile <= grid:
            raise ValueError(f"memory does not suffice for a tile of {tile}x{tile} pixels ({reason})")
        tile = _up_to(tile // 2, grid)
        waiting = _cut_again(chain([area], waiting), tile=tile, margin=margin, grid=grid)
        _let_go(device)


def _cut_again(areas: Iterator[Region], *, tile: int, margin: int, grid: int) -> Iterator[Region]:
    for area in areas:
        yield from area.cut(tile=tile, margin=margin, grid=grid)


def _larger(
    net: Net, source: TileSource, area: Region, margin: int, device: torch.device, *, bfloat16: bool
) -> tuple[tuple[slice, slice], PixelArray]:
    """Where an area lies in the output, and its pixels there: run with its halo, which is cut off again."""
    outer, scale = area.grown(margin, source.shape[0], source.shape[1]), net.scale
    sr = _run(net, source[outer.top : outer.bottom, outer.left : outer.right], device, bfloat16=bfloat16)
    top, left = (area.top - outer.top) * scale, (area.left - outer.left) * scale
    rows, columns = (area.bottom - area.top) * scale, (area.right - area.left) * scale
    place = slice(area.top * scale, area.bottom * scale), slice(area.left * scale, area.right * scale)
    return place, _quantized(sr[..., top : top + rows, left : left + columns], source.dtype)


@torch.inference_mode()
def _run(net: Net, pixels: PixelArray, device: torch.device, *, bfloat16: bool) -> Tensor:
    """(h, w, C) to float (1, C, scale h, scale w)."""
    # torch has few operations on uint16; a permuted view of interleaved pixels is channels_last already.
    data = np.array(pixels, np.int32 if pixels.dtype == np.uint16 else pixels.dtype, order="C")
    lr = torch.from_numpy(data).to(device).permute(2, 0, 1)[None].to(torch.float32) / white(pixels.dtype)
    with torch.autocast(device.type, torch.bfloat16) if bfloat16 else full_float32():
        return run(net, lr)


def run(net: Net, lr: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, scale H, scale W); a grey picture goes through an RGB net as three equal channels."""
    is_grey = lr.shape[1] == 1 and net.channels != 1
    lr = lr.expand(-1, 3, -1, -1) if is_grey else lr
    sr = net(lr.contiguous(memory_format=torch.channels_last))
    return sr.mean(1, keepdim=True) if is_grey else sr


def _quantized(sr: Tensor, dtype: np.dtype[Any]) -> PixelArray:
    """(1, C, H, W) on [0, 1] to (H, W, C) of the type."""
    interleaved = sr[0].permute(1, 2, 0)
    if dtype == np.float32:
        floats: PixelArray = interleaved.cpu().numpy()
        return floats
    levels = interleaved.clamp(0, 1).mul_(white(dtype)).add_(0.5)  # which the next line cuts off
    whole: PixelArray = levels.to(torch.uint8 if dtype == np.uint8 else torch.int32).cpu().numpy()
    return whole.astype(dtype, copy=False)


def white(dtype: np.dtype[Any]) -> float:
    """The value of white, and of what is opaque."""
    return 1.0 if dtype == np.float32 else float(np.iinfo(dtype).max)


def _sides(height: int, width: int, *, tile: int, margin: int, grid: int) -> tuple[int, int]:
    """Of the parts that cause the least work, each no larger with its halo than a square of ``tile`` with its own.

    Every cut costs two halos along its length, so a picture of one and a half tiles is cut one way only.
    """
    most = (tile + 2 * margin) ** 2

    def options() -> Iterator[tuple[int, int, tuple[int, int]]]:
        for one in _parts(height, grid):
            room = most // min(height, one + 2 * margin)  # along the other side
            widest = width if width <= room else (room - 2 * margin) // grid * grid
            if widest < 1:
                continue
            other = _up_to(-(-width // -(-width // widest)), grid)
            rows, columns = -(-height // one), -(-width // other)
            work = (height + 2 * margin * (rows - 1)) * (width + 2 * margin * (columns - 1))
            yield work, rows * columns, (one, other)

    return min(options())[2]  # the square itself fits, so there is one


def _parts(length: int, grid: int) -> Iterator[int]:
    """All sides into which a length can be divided evenly, on the grid: about twice the root of it."""
    side = _up_to(length, grid)
    yield side
    while (shorter := side - grid) >= grid:
        side = _up_to(-(-length // -(-length // shorter)), grid)
        yield side


def _up_to(value: int, grid: int) -> int:
    return -(-value // grid) * grid


def _let_go(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
