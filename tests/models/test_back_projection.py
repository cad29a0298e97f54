"""An enlargement that shrinks to the input: whole, in tiles, in bfloat16, at every scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from _support.nets import build, strong
from _support.tiny import photograph
from torch import Tensor, nn

from zoomsr.engines.tiling import upscale_tiled
from zoomsr.imaging.resize import Upscale, downscale, resize
from zoomsr.inference.transparency import Transparent
from zoomsr.models.back_projection import REACH, STEPS, BackProjection, ConvolvedBackProjection, _inverse
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.self_ensemble import SelfEnsemble

CPU = torch.device("cpu")
LEVEL = 1 / 255


def _lr(height: int, width: int) -> Tensor:
    return torch.from_numpy(photograph(height, width).astype(np.float32) / 255).permute(2, 0, 1)[None]


def _wrong(scale: int, *, by: float) -> Bicubic:
    """A net that adds noise to bicubic."""
    net, generator = Bicubic(scale), torch.Generator().manual_seed(0)
    upscale = net.upscale
    net.forward = (
        lambda lr: (
            upscale(lr)
            + by
            * torch.randn(  # type: ignore[method-assign]
                *lr.shape[:2], lr.shape[2] * scale, lr.shape[3] * scale, generator=generator
            )
        )
    )
    return net


def _error(sr: Tensor, lr: Tensor, scale: int) -> float:
    """The largest, in grey levels."""
    return float((downscale(sr, scale) - lr).abs().max()) / LEVEL


@torch.no_grad()
@pytest.mark.parametrize("size", [(40, 57), (1, 1), (2, 30)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_shrunk_again_it_is_the_input(scale: int, size: tuple[int, int]) -> None:
    lr = 0.2 + 0.6 * _lr(*size)  # far from black and white, so that nothing is clipped
    net = _wrong(scale, by=0.03)
    assert _error(net(lr), lr, scale) > 0.5
    assert _error(BackProjection(net)(lr), lr, scale) <= 0.5
    assert _error(BackProjection(net, steps=6)(lr), lr, scale) <= 0.01


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_no_picture_that_shrinks_to_the_input_becomes_further_away(scale: int) -> None:
    hr = 0.2 + 0.6 * _lr(30 * scale, 24 * scale)
    lr, net = downscale(hr, scale), _wrong(scale, by=0.02)
    before, after = (_inner_error(one(lr), hr) for one in (net, BackProjection(net)))
    assert after < 0.98 * before


def _inner_error(sr: Tensor, hr: Tensor) -> float:
    return float((sr - hr)[..., 16:-16, 16:-16].square().mean())


@torch.no_grad()
def test_what_a_file_cuts_off_is_made_up_for() -> None:
    row = torch.arange(48) // 6 % 2
    lr = (row[:, None] ^ row).float()[None, None]  # black and white: bicubic overshoots at every edge
    written = [BackProjection(Bicubic(), steps=n)(lr).clamp(0, 1) for n in (1, STEPS, 8)]
    one, default, many = (float((downscale(sr, 2) - lr).abs().mean()) for sr in written)
    assert many < 0.95 * default < 0.95 * 0.85 * one


@torch.no_grad()
@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("name", ["srcnn", "unet"])
def test_tiled_equals_whole(name: str, ensemble: bool) -> None:
    inner = strong(build(name))
    net = BackProjection(SelfEnsemble(inner) if ensemble else inner)
    pixels = photograph(41, 90).astype(np.float32) / 255
    whole = net(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    out = np.zeros((82, 180, 3), np.float32)
    upscale_tiled(net, pixels, out, device=CPU, tile=8)  # type: ignore[arg-type]
    assert np.abs(out - whole).max() <= 1e-5 * np.abs(whole).max()


@torch.no_grad()
def test_the_halo_is_what_is_looked_at() -> None:
    """No pixel further than the halo counts, and those at most two nearer do: filters end in small weights."""
    for steps in (1, 2):
        net = BackProjection(Bicubic(), steps=steps)
        assert net.halo == 2 + steps * REACH
        lr = (0.3 + 0.4 * torch.rand(1, 1, 3, 81)).double().float().requires_grad_()
        with torch.enable_grad():
            net(lr)[..., 80:82].sum().backward()
        assert lr.grad is not None
        used = (torch.nonzero(lr.grad.abs().amax((0, 1, 2)))[:, 0] - 40).abs()
        assert net.halo - 2 * (steps + 1) <= int(used.max()) <= net.halo


@torch.no_grad()
def test_the_steps_stay_in_float32_in_bfloat16() -> None:
    lr, net = 0.2 + 0.6 * _lr(40, 57), BackProjection(strong(build("srcnn")))
    with torch.autocast("cpu", torch.bfloat16):
        sr = net(lr)
    assert sr.dtype == torch.float32
    assert _error(sr, lr, 2) <= 0.5


@torch.no_grad()
def test_a_grey_picture_and_an_opaque_one_shrink_to_themselves_too() -> None:
    grey = 0.2 + 0.6 * _lr(20, 30)[:, :1]
    assert _error(BackProjection(_wrong(2, by=0.02))(grey), grey, 2) <= 0.5
    opaque = torch.cat([grey, torch.ones_like(grey)], 1)
    sr = Transparent(BackProjection(_wrong(2, by=0.02)))(opaque)  # type: ignore[arg-type]
    assert _error(sr, opaque, 2) <= 0.5


def _constant(sr: Tensor, scale: int) -> nn.Module:
    """A net whose output is always ``sr``."""
    net = nn.Identity()
    net.scale, net.multiple_of, net.halo, net.channels = scale, 1, 0, sr.shape[1]  # type: ignore[assignment]
    net.forward = lambda lr: sr  # type: ignore[method-assign,misc]
    return net


def _by_convolutions(sr: Tensor, lr: Tensor, *, scale: int, steps: int) -> Tensor:
    """The steps as their formula says, with the layers of the package."""
    filtering = torch.outer(_inverse(scale), _inverse(scale)).float()[None, None]
    for _ in range(steps):
        sr = sr.clamp(0, 1)
        error = F.pad((lr - downscale(sr, scale)).reshape(-1, 1, *lr.shape[2:]), [3] * 4, mode="replicate")
        sr = sr + Upscale(scale)(F.conv2d(error, filtering).reshape(lr.shape))
    return sr


@torch.no_grad()
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(1, 3, 40, 57), (2, 1, 1, 1), (2, 3, 9, 17), (1, 4, 8, 3)])
@pytest.mark.parametrize("scale", [2, 3, 4, 7])
def test_a_step_is_its_formula(scale: int, shape: tuple[int, ...], memory_format: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(scale)
    lr = torch.rand(shape, generator=generator)
    sr = 0.5 + torch.randn(*shape[:2], shape[2] * scale, shape[3] * scale, generator=generator)
    sr = sr.contiguous(memory_format=memory_format)
    before, expected = sr.clone(), _by_convolutions(sr, lr, scale=scale, steps=2)
    for kind in (BackProjection, ConvolvedBackProjection):
        torch.testing.assert_close(kind(_constant(sr, scale))(lr), expected, atol=2e-6, rtol=0)
    assert torch.equal(sr, before)  # the net's own


def test_the_filter_undoes_down_after_up() -> None:
    for scale in (2, 3, 4):
        row = _inverse(scale)
        assert float(row.sum()) == pytest.approx(1)
        impulse = torch.zeros(1, 1, 41, dtype=torch.float64)
        impulse[..., 20] = 1
        blurred = resize(resize(impulse, (1, 41 * scale)), (1, 41))
        back = F.conv1d(blurred, row[None, None], padding=3)
        assert float((back - impulse).abs().max()) < 0.13  # an eighth


def test_it_can_be_trained_through_after_it_was_used() -> None:
    """Its matrices are kept from call to call, and tensors made in inference mode have no gradients."""
    lr, generator = _lr(9, 10), torch.Generator().manual_seed(0)
    sr = nn.Parameter(0.5 + 0.3 * torch.randn(1, 3, 18, 20, generator=generator))
    net = BackProjection(_constant(sr, 2))
    with torch.inference_mode():
        net(lr)
    (found,) = torch.autograd.grad(net(lr).square().sum(), sr)
    (expected,) = torch.autograd.grad(_by_convolutions(sr, lr, scale=2, steps=2).square().sum(), sr)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_plain_steps_have_the_same_end() -> None:
    """The filter changes how fast it comes there, not where: sr + up(inverse of down up)(lr - down(sr))."""
    lr, start = 0.3 + 0.4 * _lr(24, 20), 0.5 + 0.05 * torch.randn(1, 3, 48, 40)
    found, expected = BackProjection(_constant(start, 2), steps=12)(lr), start
    for _ in range(120):
        expected = expected + resize(lr - downscale(expected, 2), (48, 40))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_no_steps_are_one_line() -> None:
    with pytest.raises(ValueError, match="back_projection -1: it takes one step or more"):
        BackProjection(Bicubic(), steps=-1)
