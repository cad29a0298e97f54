"""The reach of nets whose layers are not known, against nets whose reach is."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.foreign.reach import LIMIT, Reach, RunNet, measured_reach, measured_reach_of_size


def _convolutions(*kernels: int) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1 if not n else 4, 4, k, padding=k // 2) for n, k in enumerate(kernels)]
    return nn.Sequential(*layers, nn.Conv2d(4, 4, 1), nn.PixelShuffle(2)).requires_grad_(False)


def _pooled(depth: int) -> RunNet:
    """A net on a grid of 2 ** depth pixels, which sees its own cell alone."""

    def run(lr: Tensor) -> Tensor:
        means = F.avg_pool2d(lr, 2**depth)
        return F.interpolate(lr + F.interpolate(means, lr.shape[-2:]), scale_factor=2.0)

    return run


def test_reach_of_convolutions_is_their_radius() -> None:
    found = measured_reach(_convolutions(5, 3, 3), scale=2, channels=1, size_multiple=1)
    assert (found.multiple_of, found.halo) == (1, 4)
    assert found.is_exact


def test_a_net_that_sees_far_is_measured_on_a_larger_picture() -> None:
    def run(lr: Tensor) -> Tensor:  # the pixel 70 to the left, and the one 60 above
        return F.pad(lr, (70, 0, 0, 0))[..., :-70] + F.pad(lr, (0, 0, 60, 0))[..., :-60, :]

    found = measured_reach(run, scale=1, channels=3, size_multiple=1)
    assert (found.multiple_of, found.halo, found.is_exact) == (1, 70, True)


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_a_grid_is_found(depth: int) -> None:
    """Here a cell; that no halo helps a tile which begins off the grid is what the test sees."""
    found = measured_reach(_pooled(depth), scale=2, channels=3, size_multiple=2**depth)
    assert (found.multiple_of, found.halo) == (2**depth, 0)


def test_a_grid_is_longer_than_the_sides_need() -> None:
    def run(lr: Tensor) -> Tensor:  # sides need no multiple, as it pads by itself
        height, width = lr.shape[-2:]
        padded = F.pad(lr, (0, -width % 16, 0, -height % 16), mode="replicate")
        return _pooled(4)(padded)[..., : 2 * height, : 2 * width]

    assert measured_reach(run, scale=2, channels=3, size_multiple=1).multiple_of == 16


def test_a_net_that_sees_all_has_a_seam_that_is_told() -> None:
    def run(lr: Tensor) -> Tensor:
        return lr + 0.1 * lr.mean((2, 3), keepdim=True)

    found = measured_reach(run, scale=1, channels=3, size_multiple=1)
    assert (found.multiple_of, found.halo) == (64, 144)
    assert not found.is_exact
    assert LIMIT < found.seam < 0.1 * 255


def _of_size(run: RunNet, height: int, width: int, *, scale: int = 2, channels: int = 3) -> Reach:
    def checked(lr: Tensor) -> Tensor:
        assert lr.shape == (1, channels, height, width)
        return run(lr)

    return measured_reach_of_size(checked, scale=scale, channels=channels, size=(height, width))


def test_reach_of_a_fixed_size() -> None:
    found = _of_size(_convolutions(5, 3, 3), 24, 17, channels=1)
    assert (found.multiple_of, found.halo, found.is_exact) == (1, 4, True)


@pytest.mark.parametrize("depth", [1, 3])
def test_the_grid_of_a_fixed_size(depth: int) -> None:
    found = _of_size(_pooled(depth), 40, 64)
    assert (found.multiple_of, found.halo, found.is_exact) == (2**depth, 0, True)


@pytest.mark.parametrize("reach", [16, 17])
def test_a_reach_that_a_fixed_size_has_no_room_for_is_told(reach: int) -> None:
    def run(lr: Tensor) -> Tensor:  # the pixel so many rows above
        return F.pad(lr, (0, 0, reach, 0))[..., :-reach, :]

    found = _of_size(run, 64, 80, scale=1)
    assert found.halo == 16
    assert found.is_exact == (reach == 16)
