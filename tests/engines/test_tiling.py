"""Tiles give what the whole picture gives."""

from __future__ import annotations

import os
import time
import tracemalloc
import weakref

import numpy as np
import pytest
import torch
from _support.nets import NETS, build, strong
from _support.tiny import photograph
from torch import nn

from zoomsr.engines import tiling
from zoomsr.engines.tiling import upscale_tiled
from zoomsr.hardware.devices import free_memory
from zoomsr.inference import upscaler
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.self_ensemble import SelfEnsemble
from zoomsr.models.srcnn import SRCNN

CPU = torch.device("cpu")


def _tiled(net: nn.Module, pixels: np.ndarray, **options: object) -> np.ndarray:
    scale = int(net.scale)  # type: ignore[arg-type]
    out = np.zeros((scale * pixels.shape[0], scale * pixels.shape[1], pixels.shape[2]), pixels.dtype)
    upscale_tiled(net, pixels, out, device=CPU, **options)  # type: ignore[arg-type]
    return out


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(
    ("size", "tile"), [((61, 83), 32), ((33, 70), 16), ((5, 90), 48), ((61, 83), 500), ((1, 1), 8)]
)
def test_tiled_equals_whole(name: str, size: tuple[int, int], tile: int) -> None:
    net = strong(build(name))
    pixels = photograph(*size).astype(np.float32) / 255
    with torch.no_grad():
        whole = net(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    assert np.abs(whole).max() > 0.01
    assert np.abs(_tiled(net, pixels, tile=tile) - whole).max() <= 1e-5 * np.abs(whole).max()


def test_a_halo_that_is_too_small_shows() -> None:
    net, pixels = strong(build("vdsr")), photograph(61, 83).astype(np.float32) / 255
    whole = _tiled(net, pixels)
    assert np.abs(_tiled(net, pixels, tile=32, halo=2) - whole).max() > 1e-3 * np.abs(whole).max()


@pytest.mark.parametrize("name", NETS)
def test_the_self_ensemble_is_tiled_too(name: str) -> None:
    # Few levels, so that a tile with its halo is smaller than the picture, which is no multiple of the net's grid.
    net = SelfEnsemble(strong(build(name, *(["model.depth=2"] if name in ("unet_plain", "unet_seed") else []))))
    pixels = photograph(41, 83).astype(np.float32) / 255
    with torch.no_grad():
        whole = net(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    assert np.abs(whole).max() > 0.01
    assert np.abs(_tiled(net, pixels, tile=8) - whole).max() <= 1e-5 * np.abs(whole).max()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_are_clipped_and_rounded_half_up(dtype: type) -> None:
    white = np.iinfo(dtype).max
    net = nn.Identity()
    net.scale, net.multiple_of, net.halo, net.channels = 1, 1, 0, 3  # type: ignore[assignment]
    pixels = np.random.default_rng(0).integers(0, white, (9, 7, 3), dtype, endpoint=True)
    assert np.array_equal(_tiled(net, pixels, tile=4), pixels)
    for offset, expected in ((0.4, 0), (0.6, 1), (-0.4, 0), (-0.6, -1), (9e9, white), (-9e9, -white)):
        net.forward = lambda lr, offset=offset: lr + offset / white  # type: ignore[method-assign,misc]
        moved = np.clip(pixels.astype(np.int64) + expected, 0, white)
        assert np.array_equal(_tiled(net, pixels, tile=4), moved), offset


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grey_picture_stays_grey(channels: int) -> None:
    net = SRCNN(widths=[6, 5], channels=channels).eval()
    grey = photograph(20, 30)[..., :1]
    assert np.array_equal(_tiled(net, grey), _tiled(Bicubic(), grey))  # an untrained SRCNN is bicubic


def test_out_of_memory_halves_the_tile_and_loses_nothing() -> None:
    net, pixels, sides = build("srcnn"), photograph(70, 90), []
    expected, forward = _tiled(net, pixels), net.forward

    def tight(lr: torch.Tensor) -> torch.Tensor:
        sides.append(max(lr.shape[2:]))
        if sides[-1] > 50:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return forward(lr)

    net.forward = tight
    done: list[int] = []
    assert np.array_equal(_tiled(net, pixels, tile=128, advance=done.append), expected)
    assert sum(done) == 4 * 70 * 90
    assert sides[0] == 90
    assert min(sides) <= 50


@pytest.mark.parametrize("message", ["CUDA error: out of memory", "std::bad_alloc"])
def test_memory_is_given_back_before_the_next_try(message: str) -> None:
    net, pixels, held, alive = build("srcnn"), photograph(20, 30), [], []
    expected, forward = _tiled(net, pixels), net.forward

    def tight(lr: torch.Tensor) -> torch.Tensor:
        if lr.shape[3] == 30:
            features = torch.ones(9)
            held.append(weakref.ref(features))
            raise RuntimeError(message)
        if held:
            alive.append(held[-1]() is not None)
        return forward(lr)

    net.forward = tight
    assert np.array_equal(_tiled(net, pixels, tile=32, halo=8), _tiled(net, pixels, tile=8, halo=8))
    assert np.abs(_tiled(net, pixels, tile=8).astype(int) - expected).max() <= 1
    assert alive
    assert not any(alive)


@pytest.mark.parametrize(("side", "margin", "grid"), [(3_000, 2, 1), (50_000, 96, 16), (50_000, 0, 1)])
def test_a_plan_of_tiles_takes_neither_time_nor_memory(side: int, margin: int, grid: int) -> None:
    tile, wide = grid, 2 * side + 3
    tracemalloc.start()
    begun = time.perf_counter()
    parts = tiling.Region(0, 0, side, wide).cut(tile=tile, margin=margin, grid=grid)
    first = [next(parts) for _ in range(2)]
    seconds, peak = time.perf_counter() - begun, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 2
    assert peak < 10**7
    height, width = first[0].bottom, first[0].right
    assert first[0] == (0, 0, height, width)
    assert first[1][:2] in ((0, width), (height, 0))
    assert (height % grid, width % grid) == (0, 0) or (height, width) == (side, wide)
    assert min(side, height + 2 * margin) * min(wide, width + 2 * margin) <= (tile + 2 * margin) ** 2


@pytest.mark.parametrize(("height", "width", "tile", "margin", "grid"), [(61, 83, 16, 4, 4), (9, 70, 8, 3, 1)])
def test_tiles_cover_every_pixel_once_with_the_least_work(
    height: int, width: int, tile: int, margin: int, grid: int
) -> None:
    count = np.zeros((height, width), int)
    parts = list(tiling.Region(0, 0, height, width).cut(tile=tile, margin=margin, grid=grid))
    for top, left, bottom, right in parts:
        count[top:bottom, left:right] += 1
    assert (count == 1).all()
    most = (tile + 2 * margin) ** 2

    def work(one: int, other: int) -> int:
        return (height + 2 * margin * (-(-height // one) - 1)) * (width + 2 * margin * (-(-width // other) - 1))

    least = min(
        work(one, other)
        for one in range(grid, height + grid, grid)
        for other in range(grid, width + grid, grid)
        if min(height, one + 2 * margin) * min(width, other + 2 * margin) <= most
    )
    assert work(parts[0].bottom, parts[0].right) == least


def test_memory_that_never_suffices_is_one_line() -> None:
    def none(lr: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    net = Bicubic()
    net.forward = none  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"memory does not suffice for a tile of 1x1 pixels \(CUDA out of memory\)"):
        _tiled(net, photograph(8, 8))


def test_other_errors_are_not_taken_for_memory() -> None:
    def broken(lr: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("shapes do not fit")

    net = Bicubic()
    net.forward = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        _tiled(net, photograph(8, 8))


def test_the_tile_suits_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, side, at_16 in ((None, 512, 512), (10**11, 512, 512), (6 * 10**8, 256, 128), (10**6, 64, 64)):
        monkeypatch.setattr(upscaler, "free_memory", lambda device, free=free: free)
        assert Upscaler.open("bicubic").tile == side, free
        assert Upscaler.open("bicubic", 16).tile == at_16, free  # 9216 bytes for each pixel
    assert Upscaler.open("bicubic", how=NetOptions(tile=33)).tile == 33


def test_the_tile_is_larger_where_the_halo_is_and_memory_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for halo, free, side in (
        *((12, None, 512), (121, None, 726), (121, 7 * 10**9, 726), (121, 5 * 10**9, 512)),
        *((121, 2 * 10**9, 256), (1142, None, 1024), (1142, 7 * 10**9, 64)),
    ):
        monkeypatch.setattr(upscaler, "free_memory", lambda device, free=free: free)
        assert upscaler.tile_for(halo, CPU, scale=2) == side, (halo, free)
        assert upscaler.tile_for(halo, CPU, scale=4) == side, (halo, free)  # the layers take more than the output


def test_free_memory_is_less_than_the_machines() -> None:
    free = free_memory(CPU)
    if free is not None:  # elsewhere than on Linux
        assert 10**7 < free < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
