"""The U-Net that is told the JPEG quality of its input, and the mixture with bicubic."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from zoomsr.imaging.resize import Upscale
from zoomsr.models import at_quality, takes_quality
from zoomsr.models.photo_unet import PhotoUNet
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.strength import Strength

CONDITION = [f"gains.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")]
LR = torch.rand(3, 3, 17, 21, generator=torch.Generator().manual_seed(0))


def _net() -> PhotoUNet:
    torch.manual_seed(0)
    net = PhotoUNet(widths=[6, 5], blocks=[1, 1]).eval().requires_grad_(requires_grad=False)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
    return net


def _convolutions(net: nn.Module) -> list[str]:
    return [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]


def test_for_one_quality_it_is_a_plain_unet() -> None:
    net, qualities = _net(), (20.0, 75.0, 100.0)
    together = net(LR, torch.tensor(qualities))
    for number, quality in enumerate(qualities):
        plain = net.at(quality)
        assert type(plain) is ResidualUNet
        torch.testing.assert_close(plain(LR[number : number + 1])[0], together[number], atol=1e-5, rtol=0)
    assert (together[0] - net(LR[:1])[0]).abs().max() > 0.01
    torch.testing.assert_close(net(LR)[2], together[2])  # told nothing: never compressed


def test_never_compressed_it_is_the_unet_whose_weights_it_has() -> None:
    plain = ResidualUNet(widths=[6, 5], blocks=[1, 1])
    net = _net()
    missing = net.load_state_dict(plain.state_dict(), strict=False).missing_keys
    ends = ("into", "out", "shift")
    assert missing == [*(f"{name}.{end}" for name in _convolutions(plain) for end in ends), *CONDITION]
    told = [net(LR), net(LR, torch.full((3,), 100)), net.at(100)(LR)]
    assert all(torch.equal(one, plain(LR)) for one in told)
    assert all(torch.equal(one, other) for one, other in zip(net.at(100).parameters(), plain.parameters(), strict=True))
    assert (net(LR, torch.full((3,), 99.0)) - told[0]).abs().max() > 1e-3


def test_a_copy_has_changes_of_its_own() -> None:
    net = _net()
    before = net(LR, torch.full((3,), 20.0))
    other = copy.deepcopy(net)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(net(LR, torch.full((3,), 20.0)), before)
    torch.testing.assert_close(other(LR, torch.full((3,), 20.0)), Upscale(2)(LR))


def test_at_the_start_no_quality_changes_anything() -> None:
    net = PhotoUNet(widths=[6, 5], blocks=[1, 1])
    torch.testing.assert_close(net(LR, torch.full((3,), 20.0)), net(LR))


def test_only_the_changes_are_trained() -> None:
    net = _net().requires_grad_(requires_grad=False)
    fresh = PhotoUNet(widths=[6, 5], blocks=[1, 1])
    trained = [name for name, parameter in fresh.named_parameters() if parameter.requires_grad]
    frozen = [name for name, parameter in fresh.named_parameters() if not parameter.requires_grad]
    assert frozen == [name for name, _ in ResidualUNet(widths=[6, 5], blocks=[1, 1]).named_parameters()]
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name in trained)
    net(LR, torch.tensor([20.0, 75.0, 95.0])).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
    assert all((gradients[name] != 0).any() for name in trained)
    assert all(gradients[name] is None for name in frozen)


def test_what_is_told_does_not_change_the_net_itself() -> None:
    net = _net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    told = at_quality(net, 30)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert at_quality(told, 90) is told
    assert (takes_quality(net), takes_quality(told)) == (True, False)
    for quality in (0, 101):
        with pytest.raises(ValueError, match=f"JPEG quality {quality} must lie between 1 and 100"):
            net.at(quality)


def test_strength_mixes_with_bicubic() -> None:
    net = _net()
    bicubic = Upscale(2)(LR)
    for strength in (0.0, 0.25, 1.0):
        mixed = Strength(net, strength)
        torch.testing.assert_close(mixed(LR), bicubic + strength * (net(LR) - bicubic))
        assert (mixed.scale, mixed.halo, mixed.multiple_of) == (2, net.halo, net.multiple_of)
    with pytest.raises(ValueError, match=r"strength 1\.5 must lie between 0"):
        Strength(net, 1.5)
