"""Exact tiled inference: a picture of any size through any net, in bounded memory, without seams.

Tiles are not blended. Each is cut with a halo around it, wide enough for every pixel that its inside depends on, runs
through the net, and loses the halo again; at the picture's border a tile ends where the picture ends, so that the net
pads it as it would pad the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from zoomsr.hardware.devices import full_float32, is_out_of_memory
from zoomsr.imaging.pixels import PixelArray, quantize, white_of
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

    def __getitem__(self, rows_columns: tuple[slice, slice]) -> PixelArray:
        """(h, w, C)."""
        ...


class TileSink(Protocol):
    """What tiles are written into: an array, or a file."""

    def __setitem__(self, rows_columns: tuple[slice, slice], pixels: PixelArray) -> None:
        """(h, w, C)."""
        ...


class Region(NamedTuple):
    """A rectangle in lr pixels: rows top ... bottom - 1, columns left ... right - 1."""

    top: int
    left: int
    bottom: int
    right: int

    def grown(self, margin: int, height: int, width: int) -> Region:
        """With a margin on every side, clipped to the picture."""
        top, left = max(0, self.top - margin), max(0, self.left - margin)
        return Region(top, left, min(height, self.bottom + margin), min(width, self.right + margin))

    def cut(self, *, tile: int, margin: int, grid: int) -> Iterator[Region]:
        """Into parts, rows first; all begin on the net's grid."""
        height, width = _sides(self.bottom - self.top, self.right - self.left, tile=tile, margin=margin, grid=grid)
        for top in range(self.top, self.bottom, height):
            for left in range(self.left, self.right, width):
                yield Region(top, left, min(top + height, self.bottom), min(left + width, self.right))

    def slices(self, scale: int = 1, *, top: int = 0, left: int = 0) -> tuple[slice, slice]:
        """Rows and columns, relative to an origin, times ``scale``."""
        rows = slice((self.top - top) * scale, (self.bottom - top) * scale)
        return rows, slice((self.left - left) * scale, (self.right - left) * scale)


def upscale_tiled(
    net: Net,
    source: TileSource,
    out: TileSink,
    *,
    device: torch.device,
    tile: int = TILE,
    halo: int | None = None,
    bfloat16: bool = False,
    done: Container[Region] = (),
    advance: Callable[[int], None] = lambda pixels: None,
) -> None:
    """Upscale a picture into ``out``, which gets each tile as soon as it is done.

    With the net's own halo the result is that of the whole picture, except for the order of sums (1e-6).

    Args:
        net: on the device, in eval mode.
        source: (H, W, C) of uint8, uint16, or float32 on [0, 1]; C is 1 or 3.
        out: (scale H, scale W, C) of the same type. Integers are clipped and rounded half up; floats are not.
        device: where the net is.
        tile: side in lr pixels, rounded up to the net's grid; parts of another shape are as large. Halved until the
            memory suffices.
        halo: lr pixels around a tile; None for the net's receptive radius, which is exact.
        bfloat16: run the net's layers in it, where they allow it.
        done: tiles that ``out`` has already, from an earlier call with the same ``tile`` and ``halo``.
        advance: called with the number of output pixels that are done.

    Raises:
        ValueError: a tile below 1, or memory does not suffice for the smallest one.
    """
    if tile < 1:
        raise ValueError(f"a tile of {tile} pixels: it must be at least 1")
    grid = net.multiple_of
    tile, margin = _up_to(tile, grid), _up_to(net.halo if halo is None else halo, grid)
    waiting = Region(0, 0, *source.shape[:2]).cut(tile=tile, margin=margin, grid=grid)
    while (region := next(waiting, None)) is not None:
        if region in done:
            continue
        pixels = _upscaled_or_reason(net, source, region, margin, device, bfloat16=bfloat16)
        if not isinstance(pixels, str):
            out[region.slices(net.scale)] = pixels
            advance(pixels.shape[0] * pixels.shape[1])
            continue
        if tile <= grid or margin >= max(source.shape[:2]):  # with such a halo each is the whole picture
            raise ValueError(f"memory does not suffice for a tile of {tile}x{tile} pixels ({pixels})")
        tile = _up_to(tile // 2, grid)
        waiting = _cut_again(chain([region], waiting), tile=tile, margin=margin, grid=grid)
        if device.type == "cuda":
            torch.cuda.empty_cache()


def run(net: Net, lr: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, scale H, scale W); a grey picture goes through an RGB net as three equal channels."""
    is_grey = lr.shape[1] == 1 and net.channels != 1
    lr = lr.expand(-1, 3, -1, -1) if is_grey else lr
    sr = net(lr.contiguous(memory_format=torch.channels_last))
    return sr.mean(1, keepdim=True) if is_grey else sr


def _upscaled_or_reason(
    net: Net, source: TileSource, region: Region, margin: int, device: torch.device, *, bfloat16: bool
) -> PixelArray | str:
    """The region's output, or why memory does not suffice.

    The error ends here, because its traceback holds the tensors of the run that failed.
    """
    try:
        return _upscaled(net, source, region, margin, device, bfloat16=bfloat16)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return str(error).split("\n")[0]


@torch.inference_mode()
def _upscaled(
    net: Net, source: TileSource, region: Region, margin: int, device: torch.device, *, bfloat16: bool
) -> PixelArray:
    """The region's output (scale h, scale w, C): run with its halo, which is cut off again."""
    outer = region.grown(margin, source.shape[0], source.shape[1])
    # torch has few operations on uint16; a permuted view of interleaved pixels is channels_last already.
    data = np.array(source[outer.slices()], np.int32 if source.dtype == np.uint16 else source.dtype, order="C")
    white = white_of(source.dtype)
    lr = torch.from_numpy(data).to(device).permute(2, 0, 1)[None].to(torch.float32) / white
    with torch.autocast(device.type, torch.bfloat16) if bfloat16 else full_float32():
        sr = run(net, lr)[0]
    inner = sr[(..., *region.slices(net.scale, top=outer.top, left=outer.left))].permute(1, 2, 0)
    pixels: PixelArray = (inner if source.dtype == np.float32 else quantize(inner, white)).cpu().numpy()
    return pixels.astype(source.dtype, copy=False)


def _cut_again(regions: Iterator[Region], *, tile: int, margin: int, grid: int) -> Iterator[Region]:
    for region in regions:
        yield from region.cut(tile=tile, margin=margin, grid=grid)


def _sides(height: int, width: int, *, tile: int, margin: int, grid: int) -> tuple[int, int]:
    """Height and width of the parts that cause the least work.

    None is larger with its halo than a square of ``tile`` with its own. Every cut costs two halos along its length, so
    a picture of one and a half tiles is cut in one direction only.
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
