import pytest
import torch
from omegaconf import OmegaConf

from zoomsr.cli.config import CONF_DIR, instantiate
from zoomsr.training.losses import Charbonnier, FourierCoefficients, Frequency, Gradient, LumaFirst, PSNRLoss, Weighted


def test_charbonnier_equals_its_formula() -> None:
    sr, hr = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    expected = ((sr - hr) ** 2 + 0.01**2).sqrt().mean()
    torch.testing.assert_close(Charbonnier(eps=0.01)(sr, hr), expected)


def test_charbonnier_has_a_finite_gradient_at_zero_error() -> None:
    sr = torch.zeros(1, 3, 4, 4, requires_grad=True)
    Charbonnier()(sr, torch.zeros(1, 3, 4, 4)).backward()
    assert sr.grad is not None
    assert torch.equal(sr.grad, torch.zeros_like(sr))


def test_charbonnier_refuses_eps_zero() -> None:
    with pytest.raises(ValueError, match="eps 0"):
        Charbonnier(eps=0)


def test_frequency_of_a_cosine_is_its_two_coefficients() -> None:
    x = torch.arange(8.0)
    wave = torch.cos(2 * torch.pi * 2 * x / 8).expand(1, 1, 8, 8)
    # Orthonormal: 64 / 2 / 8 in each of the two coefficients, of which rfft2 keeps one among 8 x 5.
    torch.testing.assert_close(Frequency()(wave, torch.zeros_like(wave)), torch.tensor(4 / 40))


def test_fourier_coefficients_are_counted_as_safmn_and_smfanet_count_them() -> None:
    x = torch.arange(8.0)
    wave = (3 * torch.cos(2 * torch.pi * 2 * x / 8) + torch.sin(2 * torch.pi * 2 * x / 8)).expand(1, 1, 8, 8)
    # No factor: 3 * 64 / 2 in one real and 64 / 2 in one imaginary part, of the 8 x 5 that rfft2 keeps of each.
    torch.testing.assert_close(FourierCoefficients()(wave, torch.zeros_like(wave)), torch.tensor((96 + 32) / 80))
    sr, hr = torch.rand(2, 2, 3, 8, 6)
    parts = [torch.stack([f.real, f.imag], dim=-1) for f in (torch.fft.rfft2(sr), torch.fft.rfft2(hr))]
    loss = instantiate(OmegaConf.load(CONF_DIR / "loss" / "mae_fft.yaml"))
    expected = torch.nn.functional.l1_loss(sr, hr) + 0.05 * torch.nn.functional.l1_loss(*parts)
    torch.testing.assert_close(loss(sr, hr), expected)


def test_gradient_sees_an_edge_and_no_offset() -> None:
    hr = torch.zeros(1, 1, 4, 4)
    assert Gradient()(hr + 0.5, hr) == 0
    edge = hr.clone()
    edge[..., 2:] = 1
    torch.testing.assert_close(Gradient()(edge, hr), torch.tensor((4 / 12 + 0) / 2))


def test_psnr_is_averaged_over_patches_and_not_their_errors() -> None:
    hr = torch.rand(2, 3, 8, 8)
    sr = hr + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)  # 20 and 40 dB
    torch.testing.assert_close(PSNRLoss(eps=1e-12)(sr, hr), torch.tensor(-30.0), rtol=1e-4, atol=0)
    assert PSNRLoss(eps=1e-5)(hr, hr) == -50
    with pytest.raises(ValueError, match="eps 0"):
        PSNRLoss(eps=0)


def test_luma_first_counts_grey_errors_in_full_and_coloured_ones_little() -> None:
    hr = torch.rand(2, 3, 8, 8)
    mse = LumaFirst(torch.nn.MSELoss(), chroma=0.2)
    torch.testing.assert_close(mse(hr + 0.1, hr), torch.tensor(0.01 / 3), rtol=1e-4, atol=0)  # Cb and Cr of grey are 0
    blue = torch.tensor([0, 0, 0.1]).view(1, 3, 1, 1)  # Y, Cb and Cr of blue (T.871): 0.114, 0.5, -0.08131
    expected = 0.01 * (0.114**2 + 0.2**2 * (0.5**2 + 0.08131**2)) / 3
    torch.testing.assert_close(mse(hr + blue, hr), torch.tensor(expected), rtol=1e-3, atol=0)


def test_luma_first_charges_nothing_for_another_hue_without_chroma_and_little_with_it() -> None:
    hr = torch.rand(1, 3, 8, 8)
    other_hue = torch.tensor([-0.587, 0.299, 0]).view(1, 3, 1, 1)  # of the same luma
    assert LumaFirst(PSNRLoss(eps=1e-5), chroma=0)(hr + 0.1 * other_hue, hr) == pytest.approx(-50, abs=1e-3)
    configured = instantiate(OmegaConf.load(CONF_DIR / "loss" / "psnr_luma.yaml"))
    assert configured.chroma == 0.2
    assert -50 < configured(hr + 0.1 * other_hue, hr) < PSNRLoss(eps=1e-5)(hr + 0.1 * other_hue, hr)


def test_luma_first_refuses_what_has_no_chroma() -> None:
    with pytest.raises(ValueError, match=r"was given 1 channel\(s\)"):
        LumaFirst(torch.nn.L1Loss())(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4))
    with pytest.raises(ValueError, match="chroma -1"):
        LumaFirst(torch.nn.L1Loss(), chroma=-1)


def test_weighted_sums_its_terms() -> None:
    sr, hr = torch.rand(2, 1, 3, 8, 8)
    loss = Weighted([torch.nn.L1Loss(), torch.nn.MSELoss()], [1, 0.25])
    torch.testing.assert_close(loss(sr, hr), (sr - hr).abs().mean() + 0.25 * (sr - hr).square().mean())
    with pytest.raises(ValueError, match="2 terms and 1 weights"):
        Weighted([torch.nn.L1Loss(), torch.nn.MSELoss()], [1])
