import io

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from PIL import Image

from zoomsr.imaging.camera import Camera
from zoomsr.imaging.degradations import Bicubic, BlurBicubic, Box, Chain, Degradation, GaussianNoise, Jpeg
from zoomsr.imaging.resize import downscale, resize

HR = torch.from_numpy(photograph(12, 18)).permute(2, 0, 1)


@pytest.mark.parametrize("scale", [2, 3])
def test_box_is_the_mean_of_each_block(scale: int) -> None:
    blocks = HR.numpy().reshape(3, 12 // scale, scale, 18 // scale, scale).astype(np.float64)
    mean = blocks.mean((2, 4))
    box = Box(scale)
    assert np.array_equal(box.down(HR).numpy(), np.floor(mean + 0.5))
    np.testing.assert_allclose(box.down(HR.double() / 255).numpy() * 255, mean, atol=1e-12)


def test_bicubic_is_the_resize() -> None:
    bicubic = Bicubic(2)
    assert torch.equal(bicubic.down(HR), downscale(HR, 2))
    assert torch.equal(bicubic.up(HR), resize(HR, (24, 36)))


@pytest.mark.parametrize("degradation", [Bicubic(2), Box(2)])
def test_float_lr_is_not_rounded(degradation: Degradation) -> None:
    lr = degradation.down(HR.float() / 255) * 255
    assert (lr - lr.round()).abs().max() > 0.1
    assert (lr - degradation.down(HR)).abs().max() < 1.5  # one rounding for each pass


@pytest.mark.parametrize("degradation", [Bicubic(2), Box(2)])
def test_odd_sides_are_refused(degradation: Degradation) -> None:
    with pytest.raises(ValueError, match="5x4 is not a multiple of 2"):
        degradation.down(torch.rand(3, 5, 4))


def test_blur_is_a_truncated_gaussian_then_bicubic() -> None:
    picture = torch.from_numpy(photograph(20, 24)).permute(2, 0, 1).double() / 255
    axis = np.arange(7) - 3
    kernel = np.exp(-np.add.outer(axis**2, axis**2) / (2 * 1.6**2))
    kernel /= kernel.sum()
    padded = np.pad(picture.numpy(), ((0, 0), (3, 3), (3, 3)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), (1, 2))
    blurred = torch.from_numpy((windows * kernel).sum((-2, -1)))
    torch.testing.assert_close(BlurBicubic(2).down(picture), downscale(blurred, 2), atol=1e-6, rtol=0)


def test_noise_has_its_sigma_and_follows_its_generator() -> None:
    clean = torch.full((3, 200, 200), 0.5)
    noise = GaussianNoise(25 / 255)
    first = noise.down(clean, torch.Generator().manual_seed(1))
    assert torch.equal(first, noise.down(clean, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, noise.down(clean, torch.Generator().manual_seed(2)))
    assert (first - clean).std().item() == pytest.approx(25 / 255, rel=0.01)
    assert (first - clean).mean().item() == pytest.approx(0, abs=1e-3)
    with pytest.raises(ValueError, match="was given none"):
        noise.down(clean)


@pytest.mark.parametrize("quality", [20, 60, 95])
def test_jpeg_is_close_to_pillows(quality: int) -> None:
    pixels = photograph(64, 80)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=2)
    pillow = np.asarray(Image.open(file)).astype(float)
    hr = torch.from_numpy(pixels).permute(2, 0, 1)
    differentiable = Jpeg(quality).down(hr.float() / 255).permute(1, 2, 0).numpy() * 255
    loss = np.abs(pillow - pixels).mean()
    assert np.abs(differentiable - pillow).mean() < 0.35 * loss
    assert np.array_equal(Jpeg(quality).down(hr).permute(1, 2, 0).numpy(), pillow)
    assert Jpeg(quality).down(hr[:1]).shape == Jpeg(quality).down(hr[:1].float() / 255).shape == (1, 64, 80)


def test_chain_is_one_after_the_other_8_bit_in_between_where_it_starts_so() -> None:
    chain = Chain([Bicubic(2), GaussianNoise(0.1)])
    assert (chain.scale, chain.stochastic) == (2, True)
    hr = HR.float() / 255
    expected = GaussianNoise(0.1).down(downscale(hr, 2), torch.Generator().manual_seed(3))
    assert torch.equal(chain.down(hr, torch.Generator().manual_seed(3)), expected)
    noisy = GaussianNoise(0.1).down(downscale(HR, 2), torch.Generator().manual_seed(3))
    assert noisy.dtype == torch.uint8
    assert torch.equal(chain.down(HR, torch.Generator().manual_seed(3)), noisy)
    assert chain.up(expected).shape == hr.shape


def test_bad_settings_are_refused() -> None:
    for make, message in (
        (lambda: BlurBicubic(2, kernel_size=6), "odd kernel_size"),
        (lambda: GaussianNoise(-1), "sigma -1 is negative"),
        (lambda: Jpeg(0), "JPEG quality 0"),
        (lambda: Chain([]), "at least one"),
        (lambda: Chain([GaussianNoise(0.1), Camera(2)]), "draws its JPEG quality first"),
        (lambda: Chain([Chain([GaussianNoise(0.1), Bicubic(2)]), Camera(1)]), "draws its JPEG quality first"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_a_chain_tells_the_quality_that_it_draws() -> None:
    chain = Chain([Bicubic(2), Camera(1), Chain([GaussianNoise(0.1), Jpeg(60)])])
    for seed in range(9):
        drawn = Camera(1).jpeg_quality(torch.Generator().manual_seed(seed))
        assert chain.jpeg_quality(torch.Generator().manual_seed(seed)) == min(drawn, 60)
