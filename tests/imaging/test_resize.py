from pathlib import Path

import numpy as np
import pytest
import torch
from _support.tiny import photograph

from zoomsr.imaging import files
from zoomsr.imaging.pixels import crop_to_multiple
from zoomsr.imaging.resize import Upscale, downscale, resize


def _oracle(pixels: np.ndarray, size: tuple[int, int], *, rounded: bool) -> np.ndarray:
    """MATLAB's imresize for (H, W) in plain float64, written from its definition, one output sample at a time."""

    def kernel(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    result = pixels.astype(np.float64)
    for axis in sorted((0, 1), key=lambda axis: size[axis] / pixels.shape[axis]):
        n_in, n_out = result.shape[axis], size[axis]
        stretch = max(1.0, n_in / n_out)
        lines = []
        for i in range(n_out):
            centre = (i + 0.5) * n_in / n_out - 0.5
            taps = range(int(np.floor(centre - 2 * stretch)), int(np.ceil(centre + 2 * stretch)) + 1)
            weights = np.array([kernel((centre - tap) / stretch) for tap in taps])
            source = result.take([min(max(tap, 0), n_in - 1) for tap in taps], axis)
            lines.append(np.tensordot(weights / weights.sum(), source, (0, axis)))
        result = np.stack(lines, axis)
        if rounded:
            result = np.floor(result + 0.5).clip(0, 255)
    return result


SIZES = [(24, 36), (16, 24), (12, 18), (96, 144), (30, 50), (47, 71), (1, 1), (48, 9), (13, 200)]


@pytest.mark.parametrize("size", SIZES)
def test_float_equals_the_definition(size: tuple[int, int]) -> None:
    picture = photograph(48, 72)[..., 0] / 255
    single = resize(torch.from_numpy(picture).float(), size)
    double = resize(torch.from_numpy(picture), size)
    expected = _oracle(picture, size, rounded=False)
    assert np.abs(single.numpy() - expected).max() < 1e-6
    assert np.abs(double.numpy() - expected).max() < 1e-14


# Not 47x71: the middle sample of 48 to 47 lies half-way between two pixels, where values end in exactly .5 and the last
# bit of a weight decides.
@pytest.mark.parametrize("size", [size for size in SIZES if size != (47, 71)])
def test_uint8_equals_the_definition_with_both_roundings(size: tuple[int, int]) -> None:
    picture = photograph(48, 72)[..., 0]
    expected = _oracle(picture, size, rounded=True)
    assert np.array_equal(resize(torch.from_numpy(picture), size).numpy(), expected)


@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_published_lr_images_come_out_bit_for_bit(benchmarks: Path, name: str) -> None:
    originals = sorted((benchmarks / name / "HR").glob("*.png"))
    assert len(originals) == {"Set5": 5, "Set14": 14}[name]
    for path in originals:
        hr = crop_to_multiple(files.read(path), 2)
        assert torch.equal(downscale(hr, 2), files.read(benchmarks / name / "LRx2" / path.name)), path.name


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_upscale_layer_equals_resize(scale: int) -> None:
    pictures = torch.rand(2, 3, 5, 7)
    torch.testing.assert_close(Upscale(scale)(pictures), resize(pictures, (5 * scale, 7 * scale)), atol=1e-6, rtol=0)


def test_constant_stays_constant() -> None:
    for size in SIZES:
        torch.testing.assert_close(resize(torch.full((48, 72), 0.3), size), torch.full(size, 0.3), atol=1e-6, rtol=0)


def test_gradients_are_right() -> None:
    picture = torch.rand(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: downscale(x, 2), picture)
    assert torch.autograd.gradcheck(lambda x: resize(x, (7, 4)), picture)


def test_autocast_does_not_touch_pixels() -> None:
    pictures = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        enlarged, shrunk = Upscale(2)(pictures), downscale(pictures, 2)
    assert enlarged.dtype == torch.float32
    assert torch.equal(enlarged, Upscale(2)(pictures))
    assert torch.equal(shrunk, downscale(pictures, 2))


def test_half_input_is_computed_in_float32_and_returned_as_half() -> None:
    picture = torch.rand(3, 16, 16)
    half = downscale(picture.half(), 2)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), downscale(picture.half().float(), 2), atol=5e-4, rtol=0)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="5x6 is not a multiple of 2"):
        downscale(torch.rand(3, 5, 6), 2)
    with pytest.raises(ValueError, match="sides must be at least 1"):
        resize(torch.rand(3, 5, 6), (0, 3))
