"""Training losses that PyTorch lacks; ``loss=mae`` and ``loss=mse`` are torch.nn's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoomsr.imaging.pixels import LUMA_RANGE, luma


class Charbonnier(nn.Module):
    """A smooth MAE: mean of sqrt((sr - hr)^2 + eps^2).

    Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for computed imaging", ICIP 1994;
    made common in super-resolution by LapSRN (Lai et al., CVPR 2017, arXiv:1704.03915).

    Args:
        eps: on [0, 1]; smaller errors count quadratically. 1e-3 is a quarter of a grey level.
    """

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"eps {eps} must be positive: with 0 the gradient is infinite where sr equals hr")
        self.eps = eps

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two tensors of the same shape to a scalar."""
        return torch.sqrt((sr - hr).square() + self.eps**2).mean()


class Frequency(nn.Module):
    """MAE between Fourier transforms: mean of ``|F(sr) - F(hr)|``, F orthonormal over height and width.

    It weighs high frequencies, where photographs have little energy, more than a loss on pixels. After Fuoli, Van Gool
    & Timofte, "Fourier Space Losses for Efficient Perceptual Image Super-Resolution", ICCV 2021, arXiv:2106.00783, who
    compare amplitude and phase instead.
    """

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two tensors (N, C, H, W) to a scalar."""
        coefficients: Tensor = torch.fft.rfft2(sr - hr, norm="ortho")
        return coefficients.abs().mean()


class FourierCoefficients(nn.Module):
    """MAE of Fourier coefficients, real and imaginary parts apart; F has no factor, and is over height and width.

    The frequency term of SAFMN (Sun, Dong, Tang & Pan, "Spatially-Adaptive Feature Modulation for Efficient Image
    Super-Resolution", ICCV 2023, arXiv:2302.13800) and SMFANet (Zheng et al., ECCV 2024), whose code gives it a weight
    of 0.05 on patches of 128. ``Frequency`` differs by more than a factor: it takes absolute values, and its F is
    orthonormal. Here the term grows with the patch: a coefficient of white noise is n times as large at a side of n.
    """

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two tensors (N, C, H, W) to a scalar."""
        return torch.view_as_real(torch.fft.rfft2(sr - hr)).abs().mean()


class Gradient(nn.Module):
    """MAE between differences of neighbours, the mean over those along x and those along y.

    After Ma et al., "Structure-Preserving Super Resolution with Gradient Guidance", CVPR 2020, arXiv:2003.13081, who
    compare the gradients' magnitudes.
    """

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two tensors (N, C, H, W) to a scalar."""
        error = sr - hr
        return (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()) / 2


class PSNRLoss(nn.Module):
    """The negative PSNR, averaged over patches: an easy patch counts as much as a hard one, in which MSE is larger.

    HINet (Chen et al., "HINet: Half Instance Normalization Network for Image Restoration", CVPR Workshops 2021,
    arXiv:2105.06086) and NAFNet (Chen et al., ECCV 2022, arXiv:2204.04676) train with it, with 1e-8.

    Args:
        eps: added to the MSE of values on [0, 1], so that patches with less hardly count; 1e-5 is 50 dB.
    """

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"eps {eps} must be positive: with 0 the gradient is infinite where sr equals hr")
        self.eps = eps

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two tensors (N, C, H, W) to a scalar, in dB."""
        return 10 * torch.log10((sr - hr).square().mean(dim=(1, 2, 3)) + self.eps).mean()


class LumaFirst(nn.Module):
    """Another loss, of Y, Cb and Cr instead of R, G and B, and of little chroma: PSNR is mostly reported on Y.

    Cb and Cr are those of JPEG (ITU-T T.871), of full range. A factor of 1 is not the loss on RGB: chroma has less
    contrast than luma, and so smaller errors.

    Args:
        loss: of two tensors (N, 3, H, W) that depends on their difference alone.
        chroma: factor of Cb and Cr; 0.2 makes a squared error in them count a twenty-fifth.

    Raises:
        ValueError: a negative factor.
    """

    def __init__(self, loss: nn.Module, chroma: float = 0.2) -> None:
        super().__init__()
        if chroma < 0:
            raise ValueError(f"chroma {chroma} must not be negative")
        self.loss = loss
        self.chroma = chroma

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two tensors (N, 3, H, W) to a scalar. Raises ValueError for other than three channels."""
        if sr.shape[1] != 3:
            raise ValueError(f"a loss of luma and chroma was given {sr.shape[1]} channel(s): it needs R, G and B")
        value: Tensor = self.loss(self._ycbcr(sr), self._ycbcr(hr))
        return value

    def _ycbcr(self, rgb: Tensor) -> Tensor:
        y = luma(rgb) / LUMA_RANGE  # and an offset, which both images have
        red, blue = rgb[:, 0:1], rgb[:, 2:3]
        return torch.cat([y, (blue - y) * (self.chroma / 1.772), (red - y) * (self.chroma / 1.402)], dim=1)


class Weighted(nn.Module):
    """A sum of losses, each with its weight.

    Args:
        terms: losses of (sr, hr).
        weights: one for each.

    Raises:
        ValueError: another number of weights than of terms.
    """

    def __init__(self, terms: Sequence[nn.Module], weights: Sequence[float]) -> None:
        super().__init__()
        if len(terms) != len(weights):
            raise ValueError(f"{len(terms)} terms and {len(weights)} weights: each term needs one")
        self.terms = nn.ModuleList(terms)
        self.weights = tuple(weights)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Two tensors of the same shape to a scalar."""
        values = [weight * term(sr, hr) for term, weight in zip(self.terms, self.weights, strict=True)]
        return torch.stack(values).sum()
