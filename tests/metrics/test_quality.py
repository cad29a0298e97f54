import numpy as np
import pytest
import torch
from _support.tiny import photograph
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from zoomsr.imaging.pixels import luma
from zoomsr.metrics.collection import ImageScores
from zoomsr.metrics.protocol import CLASSIC, MODERN, MetricProtocol
from zoomsr.metrics.quality import PSNR_CEILING, ImageScore, mean_score, measure
from zoomsr.metrics.spectrum import ERROR_FLOOR


def _pair(height: int = 40, width: int = 56, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    hr = torch.from_numpy(photograph(height, width, seed=seed)).permute(2, 0, 1).float() / 255
    generator = torch.Generator().manual_seed(seed)
    return hr + 0.05 * torch.randn(hr.shape, generator=generator), hr


def _reference(sr: torch.Tensor, hr: torch.Tensor, *, border: int, luma_8bit: bool) -> list[float]:
    """The five numbers in float64 with scikit-image."""

    def levels(x: np.ndarray) -> np.ndarray:
        return np.floor(x * 255 + 0.5)

    def cut(x: np.ndarray) -> np.ndarray:
        return x[border : x.shape[0] - border, border : x.shape[1] - border]

    a, b = (cut(x.double().clamp(0, 1).permute(1, 2, 0).numpy()) for x in (sr, hr))
    rgb = levels(a), levels(b)
    weights = np.array([65.481, 128.553, 24.966])
    y = a @ weights + 16, b @ weights + 16
    if luma_8bit:
        y = np.floor(y[0] + 0.5), np.floor(y[1] + 0.5)

    def ssim(x: np.ndarray, z: np.ndarray) -> float:
        settings_ = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        channels = [(x, z)] if x.ndim == 2 else [(x[..., c], z[..., c]) for c in range(3)]
        maps = [structural_similarity(p, q, full=True, **settings_)[1][5:-5, 5:-5] for p, q in channels]
        return float(np.mean(maps))

    return [
        float(np.abs(rgb[0] - rgb[1]).mean() / 255),
        peak_signal_noise_ratio(rgb[1], rgb[0], data_range=255),
        peak_signal_noise_ratio(y[1], y[0], data_range=255),
        ssim(*rgb),
        ssim(*y),
    ]


@pytest.mark.parametrize("protocol", [MODERN, CLASSIC])
@pytest.mark.parametrize("border", [0, 2, 4])
@pytest.mark.parametrize("size", [(40, 56), (41, 23)])
def test_measure_equals_scikit_image(protocol: MetricProtocol, border: int, size: tuple[int, int]) -> None:
    sr, hr = _pair(*size)
    expected = _reference(sr, hr, border=border, luma_8bit=protocol.luma_8bit)
    double = measure(sr.double(), hr.double(), protocol=protocol, border=border)
    np.testing.assert_allclose(double[:5].numpy(), expected, rtol=1e-9)
    single = measure(sr, hr, protocol=protocol, border=border)
    np.testing.assert_allclose(single[:5].numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(single[3:5].numpy(), expected[3:], atol=1e-6)


def test_values_by_hand() -> None:
    black, grey = torch.zeros(3, 16, 16).double(), torch.full((3, 16, 16), 0.2).double()
    score = ImageScore(*measure(grey, black, protocol=MODERN, border=0).tolist())
    assert score.mae == pytest.approx(0.2)
    assert score.psnr_rgb == pytest.approx(20 * np.log10(5))
    assert score.psnr_y == pytest.approx(20 * np.log10(5 * 255 / 219))  # luma of grey spans 219 of 255
    c1 = (0.01 * 255) ** 2
    assert score.ssim_rgb == pytest.approx(c1 / (51**2 + c1), rel=1e-5)


def test_identical_images_score_the_ceiling() -> None:
    _, hr = _pair()
    score = measure(hr, hr, protocol=MODERN, border=2).tolist()
    assert score == pytest.approx([0, PSNR_CEILING, PSNR_CEILING, 1, 1, *[ERROR_FLOOR] * 4])


def test_psnr_ignores_shaved_border() -> None:
    sr, hr = _pair()
    spoilt = sr.clone()
    spoilt[:, :2] = spoilt[:, -2:] = spoilt[..., :2] = spoilt[..., -2:] = 9
    assert torch.equal(
        measure(spoilt, hr, protocol=MODERN, border=2),
        measure(sr, hr, protocol=MODERN, border=2),
    )
    assert not torch.equal(
        measure(spoilt, hr, protocol=MODERN, border=1),
        measure(sr, hr, protocol=MODERN, border=1),
    )


def test_grey_pair_is_its_own_luma() -> None:
    sr, hr = (luma(picture) for picture in _pair())
    score = measure(sr, hr, protocol=CLASSIC, border=2)
    assert score[1] == score[2]


def test_different_or_tiny_images_are_refused() -> None:
    sr, hr = _pair()
    with pytest.raises(ValueError, match="differ"):
        measure(sr[..., 1:], hr, protocol=MODERN, border=0)
    with pytest.raises(ValueError, match="SSIM needs at least 11x11 pixels, not 10x30"):
        measure(sr[:, :14, :34], hr[:, :14, :34], protocol=MODERN, border=2)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(16, 40), st.integers(16, 40), st.sampled_from([MODERN, CLASSIC]))
def test_metrics_are_symmetric_and_in_range(seed: int, height: int, width: int, protocol: MetricProtocol) -> None:
    sr, hr = (picture.double().clamp(0, 1) for picture in _pair(height, width, seed=seed))
    forward = measure(sr, hr, protocol=protocol, border=2)
    backward = measure(hr, sr, protocol=protocol, border=2)
    torch.testing.assert_close(forward[:5], backward[:5], atol=1e-9, rtol=1e-9)
    assert 0 <= forward[0] <= 1
    assert (forward[1:3] > 0).all()
    assert (forward[3:5] <= 1).all()


def test_scores_do_not_depend_on_batch_size_order_or_repetition() -> None:
    pairs = [_pair(seed=seed) for seed in range(5)]
    sr, hr = (torch.stack(pictures) for pictures in zip(*pairs, strict=True))

    def collected(*batches: list[int]) -> dict[int, ImageScore]:
        metric = ImageScores(protocol=MODERN, border=2)
        for batch in batches:
            metric.update(sr[batch], hr[batch], torch.tensor(batch))
        return metric.collect()

    expected = collected([0, 1, 2, 3, 4])
    assert list(expected) == [0, 1, 2, 3, 4]
    assert collected([3], [1, 0], [4, 2]) == expected
    assert collected([0, 1, 2], [3, 4, 0]) == expected  # a distributed sampler pads by repeating
    assert collected([2]) == {2: expected[2]}


def test_mean_is_over_images_not_pooled() -> None:
    rows = [0.1, 20.0, 20.0, 0.5, 0.5, *[-30.0] * 4], [0.3, 40.0, 40.0, 0.7, 0.9, *[-10.0] * 4]
    mean = mean_score([ImageScore(*row) for row in rows])
    assert list(mean.as_dict().values()) == pytest.approx([0.2, 30, 30, 0.6, 0.7, *[-20] * 4])
    with pytest.raises(ValueError, match="no images"):
        mean_score([])
