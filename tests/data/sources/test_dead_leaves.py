from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from zoomsr.data.sources import dead_leaves as module
from zoomsr.data.sources.dead_leaves import dead_leaves, power_law

Floats = NDArray[np.float64]


def _draw(index: int, *, epoch: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=7, counter=[0, 0, index, epoch]))


@pytest.fixture(scope="module")
def lumas() -> Floats:
    """Sixteen pictures' luma (16, 128, 128) on [0, 1]: spectra need more than the usual 64 pixels."""
    pictures = np.stack([dead_leaves(128, 128, _draw(index)) for index in range(16)])
    return np.tensordot(pictures / 255, (0.299, 0.587, 0.114), axes=(1, 0))


def test_same_state_gives_the_same_picture_and_another_another() -> None:
    first = dead_leaves(48, 64, _draw(3, epoch=2))
    assert np.array_equal(first, dead_leaves(48, 64, _draw(3, epoch=2)))
    for other in (_draw(4, epoch=2), _draw(3, epoch=1)):
        assert (first != dead_leaves(48, 64, other)).mean() > 0.9


def test_global_seed_has_no_say() -> None:
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr]
    dead_leaves(16, 16, _draw(0))
    assert np.array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 33), (33, 7), (1, 64), (65, 31)])
def test_any_size_is_rgb_bytes(height: int, width: int) -> None:
    picture = dead_leaves(height, width, _draw(height))
    assert picture.shape == (3, height, width)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("shape", [(2, 2), (8, 6), (61, 45)])
@pytest.mark.parametrize(("smallest", "largest"), [(0.5, 4.0), (1.5, 256.0), (20.0, 21.0)])
def test_every_sample_shows_the_leaf_on_top(shape: tuple[int, int], smallest: float, largest: float) -> None:
    row, column = np.mgrid[: shape[0], : shape[1]]
    for index in range(30 if shape[0] < 10 else 1):  # a small picture has few leaves
        leaves = module._fall(shape, _draw(index), alpha=3.0, smallest=2 * smallest, largest=2 * largest)
        naive = np.zeros(shape, np.intp)
        for number, (centre, radius) in enumerate(zip(leaves.centre, leaves.radius, strict=True)):
            naive[abs(column + 1j * row - centre) <= radius] = number
        assert (module._topmost(leaves, shape) == naive).mean() > 0.999  # float32 and float64 may differ on a rim
        assert (abs(column + 1j * row - leaves.centre[0]) < leaves.radius[0]).all()  # the background leaves no gap


def test_leaves_cover_a_point_as_often_as_they_should() -> None:
    shape = (40, 60)
    counts = np.zeros(shape)
    row, column = np.mgrid[: shape[0], : shape[1]]
    for index in range(20):
        leaves = module._fall(shape, _draw(index), alpha=3.0, smallest=3.0, largest=100.0)
        for centre, radius in zip(leaves.centre[1:], leaves.radius[1:], strict=True):
            counts += abs(column + 1j * row - centre) <= radius
    assert counts.mean() / 20 == pytest.approx(module._LAYERS, rel=0.1)
    edge, middle = counts[:5].mean(), counts[18:23].mean()
    assert edge == pytest.approx(middle, rel=0.2)  # no border effect


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0, 3.0, 4.5])
def test_radii_follow_the_power_law(alpha: float) -> None:
    count, low, high = 4000, 1.5, 100.0
    radii = np.sort(power_law(count, _draw(0), alpha=alpha, smallest=low, largest=high))
    grid = np.geomspace(low, high, 20001)
    density = grid**-alpha
    mass = np.append(0, np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid)))
    distance = abs(np.interp(radii, grid, mass / mass[-1]) - (np.arange(count) + 0.5) / count).max()
    assert distance < 1.95 / np.sqrt(count)  # Kolmogorov-Smirnov at 0.1 %; the draw is fixed
    assert module._mass(alpha, low, high) == pytest.approx(mass[-1], rel=1e-5)


def test_spectrum_falls_as_a_photograph_s(lumas: Floats) -> None:
    side = lumas.shape[-1]
    window = np.hanning(side)[:, None] * np.hanning(side)
    power = (abs(np.fft.fft2((lumas - lumas.mean((1, 2), keepdims=True)) * window)) ** 2).mean(0)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    edges = np.geomspace(4 / side, 0.4, 11)
    rings = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
    where = [np.log(frequency[ring]).mean() for ring in rings]
    slope = np.polyfit(where, [np.log(power[ring].mean()) for ring in rings], 1)[0]
    assert -2.7 < slope < -1.8


def test_differences_have_heavy_tails(lumas: Floats) -> None:
    step = np.diff(lumas, axis=-1)
    assert (step**4).mean() / (step**2).mean() ** 2 > 6  # 3 for a Gaussian


def test_edges_are_softened() -> None:
    picture = dead_leaves(64, 64, _draw(5), smallest=30.0, largest=31.0)
    assert len(np.unique(picture[0])) > 8


def test_colours_are_correlated_and_fill_the_range() -> None:
    pixels = np.concatenate([dead_leaves(48, 48, _draw(index)).reshape(3, -1) for index in range(24)], axis=1)
    assert np.corrcoef(pixels).min() > 0.8
    assert (np.percentile(pixels, 2, axis=1) < 25).all()
    assert (np.percentile(pixels, 98, axis=1) > 230).all()


def test_modulation_stays_within_one() -> None:
    draw = _draw(2)
    leaves = module._fall((64, 64), draw, alpha=3.0, smallest=3.0, largest=200.0)
    light = module._Light(leaves, draw).at(module._topmost(leaves, (64, 64)), 0)
    assert -1 <= light.min() < -0.1
    assert 0.1 < light.max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "smallest", "largest", "alpha", "said"),
    [
        (0, 8, 1.0, 9.0, 3.0, "0x8 pixels is empty"),
        (8, -1, 1.0, 9.0, 3.0, "8x-1 pixels is empty"),
        (8, 8, 0.1, 9.0, 3.0, "not 0.1 and 9.0"),
        (8, 8, 9.0, 9.0, 3.0, "not 9.0 and 9.0"),
        (8, 8, 1.0, float("inf"), 3.0, "not 1.0 and inf"),
        (8, 8, float("nan"), 9.0, 3.0, "not nan and 9.0"),
        (8, 8, 1.0, 9.0, float("nan"), "alpha nan"),
        (8, 8, 1.0, 9.0, -1.0, "alpha -1.0"),
    ],
)
def test_bad_parameters_are_refused(
    height: int, width: int, smallest: float, largest: float, alpha: float, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        dead_leaves(height, width, _draw(0), smallest=smallest, largest=largest, alpha=alpha)
