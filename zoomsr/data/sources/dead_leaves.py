"""Dead leaves: synthetic images with the statistics of photographs.

Opaque discs occlude one another; their radii follow a power law, so that there are edges at all scales. The model is
that of Lee, Mumford & Huang, "Occlusion Models for Natural Images: A Statistical Study of a Scale-Invariant Dead Leaves
Model", IJCV 41 (2001); Achddou, Gousseau & Ladjal, "Synthetic images as a regularity prior for image restoration neural
networks", SSVM 2021 (HAL hal-03186499), train denoisers and super-resolution on it.

Differences from the paper: leaves have textures, colours come from a random palette instead of a photograph, and there
are ``_LAYERS`` leaves over a point on average, on a background, instead of infinitely many.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_FINE = 2  # samples along a pixel's side; their mean softens edges as a sensor's pixel does
_LAYERS = 3.0  # leaves over a point on average: the background shows in about exp(-3) = 5 % of the image
_SMALL = 24  # leaves up to this many samples wide are drawn together, larger ones one by one, which is faster for each
_BAND = 32  # rows of pixels shaded at once, so that a band's arrays fit the processor's cache
_KINDS = (0.2, 0.2, 0.25, 0.35)  # shares of flat, shaded, striped and grainy leaves
_WAVELENGTHS = (3.0, 40.0)  # of stripes, in pixels: the shortest that a pixel grid resolves, with a margin
_STEPS = (0.25, 1.0)  # of grain, noise samples per sample: smaller is coarser, or has longer streaks
_TILE = 256  # side of the periodic noise that grainy leaves are cut from, in samples; a power of two


class _Leaves(NamedTuple):
    """Discs from back to front, (n,) each, in samples; the first is the background."""

    centre: NDArray[np.complex64]  # column + i row
    radius: Floats


def dead_leaves(
    height: int,
    width: int,
    generator: np.random.Generator,
    *,
    smallest: float = 1.5,
    largest: float = 256.0,
    alpha: float = 3.0,
) -> NDArray[np.uint8]:
    """An image of dead leaves, a function of the generator's state alone.

    Args:
        height: in pixels.
        width: in pixels.
        generator: of all random numbers; its state advances.
        smallest: radius in pixels, at least 0.5; time and memory grow as its inverse square.
        largest: radius in pixels.
        alpha: radii have density proportional to r^-alpha; 3 is scale-invariant.

    Returns:
        uint8 RGB (3, height, width).

    Raises:
        ValueError: the image is empty, or the radii or alpha make no density.
    """
    _require(height, width, smallest=smallest, largest=largest, alpha=alpha)
    fine = (height * _FINE, width * _FINE)
    leaves = _fall(fine, generator, alpha=alpha, smallest=smallest * _FINE, largest=largest * _FINE)
    top = _topmost(leaves, fine)
    colours = _colours(len(leaves.radius), generator)
    light = _Light(leaves, generator)
    image = np.empty((3, height, width), np.uint8)
    for start in range(0, height, _BAND):
        band = top[start * _FINE : (start + _BAND) * _FINE]
        modulation = light.at(band, start * _FINE)
        for channel, colour in enumerate(colours):
            base = colour[band]
            # bends the colour as a tone curve would: never below 0 or above 1 while |modulation| <= 1
            base += modulation * base * (1 - base)
            # a pixel is the mean of its samples, which are 2x2
            rows = base[::2] + base[1::2]
            pixels = (rows[:, ::2] + rows[:, 1::2]) * np.float32(255 / 4) + np.float32(0.5)
            image[channel, start : start + _BAND] = pixels.astype(np.uint8)
    return image


def power_law(
    count: int, generator: np.random.Generator, *, alpha: float, smallest: float, largest: float
) -> NDArray[np.float64]:
    """(count,) radii of density proportional to r^-alpha between smallest and largest, by inversion of the CDF.

    F(r) = (r^p - smallest^p) / (largest^p - smallest^p) with p = 1 - alpha; log(r / smallest) / log(largest /
    smallest) at alpha 1.
    """
    uniform = generator.random(count)
    power = 1 - alpha
    if abs(power) < 1e-6:
        return np.asarray(smallest * (largest / smallest) ** uniform)
    low, high = smallest**power, largest**power
    return np.asarray((low + uniform * (high - low)) ** (1 / power))


def _mass(alpha: float, smallest: float, largest: float) -> float:
    """The integral of r^-alpha from smallest to largest."""
    power = 1 - alpha
    if abs(power) < 1e-6:
        return math.log(largest / smallest)
    return float((largest**power - smallest**power) / power)


def _require(height: int, width: int, *, smallest: float, largest: float, alpha: float) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"an image of {height}x{width} pixels is empty")
    if not 0.5 <= smallest < largest < math.inf:
        raise ValueError(f"radii must hold 0.5 <= smallest < largest, not {smallest} and {largest}")
    if not 0 <= alpha <= 10:
        raise ValueError(f"alpha {alpha} must lie between 0 and 10")


def _fall(
    shape: tuple[int, int], generator: np.random.Generator, *, alpha: float, smallest: float, largest: float
) -> _Leaves:
    """The leaves of an infinite plane that meet the image.

    The centres of leaves of radius r that meet it fill (H + 2r)(W + 2r), so their radii have density r^-alpha (HW +
    2(H + W) r + 4 r^2): a mixture of three power laws. There is no border effect; only leaves past a corner are wasted.
    """
    height, width = shape
    weights = (float(height * width), 2.0 * (height + width), 4.0)
    masses = np.array([w * _mass(alpha - i, smallest, largest) for i, w in enumerate(weights)])
    count = math.ceil(_LAYERS * masses.sum() / (math.pi * _mass(alpha - 2, smallest, largest)))
    shares = generator.multinomial(count, masses / masses.sum())
    parts = [
        power_law(int(n), generator, alpha=alpha - i, smallest=smallest, largest=largest) for i, n in enumerate(shares)
    ]
    radius = generator.permutation(np.concatenate(parts))
    row = generator.random(count) * (height + 2 * radius) - radius - 0.5
    column = generator.random(count) * (width + 2 * radius) - radius - 0.5
    centre = np.append((width + 1j * height) / 2, column + 1j * row)
    return _Leaves(centre.astype(np.complex64), np.append(math.hypot(height, width), radius).astype(np.float32))


def _topmost(leaves: _Leaves, shape: tuple[int, int]) -> NDArray[np.intp]:
    """(H, W): the number of the leaf on top of each sample."""
    top = np.zeros(shape, np.intp)
    span = (2 * leaves.radius).astype(np.intp) + 1
    for side in np.unique(span[span <= _SMALL]):
        _drop_together(top, leaves, np.flatnonzero(span == side), int(side))
    for number in np.flatnonzero(span[1:] > _SMALL) + 1:  # the background, 0, is there already
        _drop_one(top, leaves, int(number))
    return top


def _drop_together(top: NDArray[np.intp], leaves: _Leaves, numbers: NDArray[np.intp], side: int) -> None:
    """Draw leaves no wider than ``side`` samples; numbers ascend, and numpy keeps the last of repeated writes."""
    height, width = top.shape
    centre, radius = (part[numbers, None] for part in leaves)
    row, column = centre.imag, centre.real
    rows = np.ceil(row - radius) + np.arange(side, dtype=np.float32)
    columns = np.ceil(column - radius) + np.arange(side, dtype=np.float32)
    # a reach of -1 excludes what lies outside of the image from every disc
    down = np.where((rows >= 0) & (rows < height), radius**2 - (rows - row) ** 2, np.float32(-1))
    across = np.where((columns >= 0) & (columns < width), (columns - column) ** 2, np.float32(np.inf))
    inside = np.flatnonzero(across[:, None, :] <= down[:, :, None])
    leaf, rest = np.divmod(inside, side * side)
    place = rows.astype(np.intp).ravel()[inside // side] * width
    place += columns.astype(np.intp).ravel()[leaf * side + rest % side]
    number, flat = numbers[leaf], top.reshape(-1)
    above = number > flat[place]
    flat[place[above]] = number[above]


def _drop_one(top: NDArray[np.intp], leaves: _Leaves, number: int) -> None:
    """Draw one leaf within its bounding box."""
    row, column = float(leaves.centre[number].imag), float(leaves.centre[number].real)
    radius = float(leaves.radius[number])
    first, left = max(math.ceil(row - radius), 0), max(math.ceil(column - radius), 0)
    box = top[first : max(math.floor(row + radius) + 1, 0), left : max(math.floor(column + radius) + 1, 0)]
    down = np.float32(radius**2) - (np.arange(first, first + box.shape[0], dtype=np.float32) - np.float32(row)) ** 2
    across = (np.arange(left, left + box.shape[1], dtype=np.float32) - np.float32(column)) ** 2
    np.maximum(box, (across <= down[:, None]) * number, out=box)


def _colours(count: int, generator: np.random.Generator) -> Floats:
    """(3, count) in [0, 1]: variations of a few tones from dark to bright, of low saturation as in photographs."""
    tones = int(generator.integers(3, 9))
    luma = (np.arange(tones) + generator.random(tones)) / tones
    blue, red = generator.normal(scale=generator.uniform(0.01, 0.12), size=(2, tones))
    rgb = luma + np.stack([red - blue / 2, -(red + blue) / 2, blue])
    chosen = generator.choice(tones, size=count, p=generator.dirichlet(np.full(tones, 1.5)))
    spread = generator.uniform(0.03, 0.15)
    variation = spread * generator.standard_normal(count) + 0.25 * spread * generator.standard_normal((3, count))
    return np.asarray((rgb[:, chosen] + variation).clip(0.01, 0.99), np.float32)


class _Light:
    """How textures modulate the leaves' colours: flat, shaded, shaded and striped, or shaded and grainy."""

    def __init__(self, leaves: _Leaves, generator: np.random.Generator) -> None:
        count = len(leaves.radius)
        kind = generator.choice(4, size=count, p=_KINDS)
        self._striped, self._grainy = kind == 2, kind == 3
        self._centre = leaves.centre
        self._slope = _rotations((kind > 0) * generator.uniform(0, 0.5, count) / leaves.radius, generator)
        wave = 2 * math.pi / (_FINE * _log_uniform(_WAVELENGTHS, count, generator))
        self._frame = _rotations(np.where(self._striped, wave, _log_uniform(_STEPS, count, generator)), generator)
        self._stretch = _log_uniform(_STEPS, count, generator)
        self._start = generator.uniform(0, _TILE, count).astype(np.float32)
        # squares: most textures are faint and most waves smooth, a few are strong and nearly square
        self._strength = (0.1 + 0.8 * generator.random(count) ** 2).astype(np.float32)
        self._edge = (1 + 9 * generator.random(count) ** 2).astype(np.float32)
        self._tile = _noise(generator)

    def at(self, top: NDArray[np.intp], start: int) -> Floats:
        """(H, W) in [-1, 1]: the modulation of a band of samples, whose first row is ``start`` of the image."""
        rows = np.arange(start, start + top.shape[0], dtype=np.float32)[:, None]
        grid = (np.arange(top.shape[1]) + 1j * rows).astype(np.complex64)
        place = grid - self._centre[top]
        light = (place * self._slope[top]).real
        for chosen, texture in ((self._striped, self._stripes), (self._grainy, self._grains)):
            where = np.nonzero(chosen[top])
            leaf = top[where]
            light[where] += self._strength[leaf] * texture(leaf, place[where] * self._frame[leaf])
        return np.asarray(light.clip(-1, 1))

    def _stripes(self, leaf: NDArray[np.intp], place: NDArray[np.complex64]) -> Floats:
        return np.asarray((self._edge[leaf] * np.sin(place.real + self._start[leaf])).clip(-1, 1))

    def _grains(self, leaf: NDArray[np.intp], place: NDArray[np.complex64]) -> Floats:
        along = np.floor(place.real + self._start[leaf]).astype(np.intp)
        across = np.floor(place.imag * self._stretch[leaf]).astype(np.intp)
        return np.asarray(self._tile[across & (_TILE - 1), along & (_TILE - 1)])


def _rotations(length: NDArray[np.floating[Any]], generator: np.random.Generator) -> NDArray[np.complex64]:
    """Complex numbers of these lengths, in random directions: factors that rotate and scale a place."""
    return np.asarray(length * np.exp(2j * math.pi * generator.random(len(length))), np.complex64)


def _log_uniform(ends: tuple[float, float], count: int, generator: np.random.Generator) -> Floats:
    return power_law(count, generator, alpha=1.0, smallest=ends[0], largest=ends[1]).astype(np.float32)


def _noise(generator: np.random.Generator) -> Floats:
    """(_TILE, _TILE): periodic Gaussian noise of mean 0 and sd 0.5, of amplitude f^-b with b drawn from 0.3 to 1.3."""
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)).astype(np.float32)
    frequency[0, 0] = np.inf  # no mean
    white = generator.standard_normal((*frequency.shape, 2), np.float32).view(np.complex64)[..., 0]
    noise = np.fft.irfft2(white * frequency ** np.float32(-generator.uniform(0.3, 1.3)))
    return np.asarray(noise / (2 * noise.std()), np.float32)
