"""Contract tests: every yaml in conf/model is a net that keeps the contract of zoomsr.models.Net, unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from _support.nets import NETS, build
from torch import nn

from zoomsr.cli.config import CONF_DIR
from zoomsr.imaging.pixels import luma
from zoomsr.imaging.resize import resize
from zoomsr.models import scale_of, takes_quality
from zoomsr.models.complexity import costs_of
from zoomsr.models.large_kernel_unet import LargeKernelBlock, LargeKernelUNet
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.unet import UNet
from zoomsr.models.vdsr import VDSR


def test_a_net_is_found() -> None:
    assert {"bicubic", "srcnn", "vdsr", "unet", "unet_seed"} <= set(NETS)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("size", [(1, 1), (7, 33), (16, 16), (21, 2)])
def test_any_size_is_enlarged_by_the_scale(name: str, size: tuple[int, int]) -> None:
    net = build(name)
    scale = scale_of(net)
    sr = net(torch.rand(2, 3, *size))
    assert sr.shape == (2, 3, scale * size[0], scale * size[1])
    assert sr.isfinite().all()


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("scale", [2, 3])
def test_scale_is_an_argument(name: str, scale: int) -> None:
    net = build(name, f"scale={scale}")
    assert scale_of(net) in (scale, 1)  # a denoiser keeps the grid
    assert net(torch.rand(1, 3, 5, 6)).shape == (1, 3, 5 * scale_of(net), 6 * scale_of(net))


def _inputs(net: nn.Module, lr: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Of two pictures, for a net that may be told their JPEG quality."""
    return (lr, torch.tensor([20.0, 90.0])) if takes_quality(net) else (lr,)


@pytest.mark.parametrize("name", NETS)
def test_gradients_reach_every_parameter(name: str) -> None:
    net = build(name).train()
    lr = torch.rand(2, 3, 32, 32, requires_grad=True)
    trained = [(label, parameter) for label, parameter in net.named_parameters() if parameter.requires_grad]
    for _ in range(4):  # each layer of zeros lets gradients through to those before it from its next step on
        net(*_inputs(net, lr)).square().mean().backward()
        for _, parameter in trained:
            parameter.data -= 0.01 * parameter.grad
    for label, parameter in [("lr", lr), *trained]:
        assert parameter.grad is not None, label
        assert parameter.grad.abs().sum() > 0, label


@pytest.mark.parametrize("name", NETS)
def test_state_dict_round_trip(name: str) -> None:
    first, second = build(name), build(name)
    second.load_state_dict(first.state_dict())
    lr = torch.rand(1, 3, 9, 12)
    assert torch.equal(first(lr), second(lr))


@pytest.mark.parametrize("name", NETS)
def test_output_stays_float32_under_autocast(name: str) -> None:
    net = build(name)
    lr = torch.rand(1, 3, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sr = net(lr)
    assert sr.dtype == torch.float32
    assert (sr - net(lr)).abs().max() < 0.05 * net(lr).abs().max()


def _influence(net: nn.Module, side: int, pixel: int) -> tuple[torch.Tensor, int]:
    """Which output pixels change at all when one input pixel changes, as a (scale side, scale side) mask."""
    net = net.double()
    lr = torch.rand(1, 3, side, side, dtype=torch.float64)
    changed = lr.clone()
    changed[..., pixel, pixel] += 10.0
    with torch.no_grad():
        difference = (net(changed) - net(lr)).abs().sum((0, 1))
    return difference > 0, scale_of(net)


def alive(net: nn.Module) -> nn.Module:
    """With chance in the layers that start as zeros, and so would reach nowhere."""
    for parameter in net.parameters():
        if parameter.ndim > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return net


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("place", ["low", "high"])
def test_no_pixel_outside_the_halo_changes_the_output(name: str, place: str) -> None:
    net = alive(build(name, *(["model.widths=[4,4,4]", "model.blocks=[2,1,1]"] if name == "unet" else [])))
    halo, grid = int(net.halo), int(net.multiple_of)  # type: ignore[arg-type]
    # Both ends of a cell of the net's grid, where the reach to one side is longest.
    side = 2 * (halo + grid) + grid
    pixel = (side // 2 // grid) * grid + (0 if place == "low" else grid - 1)
    touched, scale = _influence(net, side, pixel)
    rows = touched.any(1).nonzero().flatten() // scale
    assert len(rows) > 0
    assert pixel - rows.min() <= halo
    assert rows.max() - pixel <= halo


@pytest.mark.parametrize("name", NETS)
def test_shifting_by_multiple_of_shifts_the_output(name: str) -> None:
    net = alive(build(name))
    halo, shift, scale = int(net.halo), int(net.multiple_of), scale_of(net)  # type: ignore[arg-type]
    side = 2 * halo + 4 * shift
    side += -side % shift
    lr = torch.rand(1, 3, side, side + shift)
    with torch.no_grad():
        whole, shifted = net(lr)[..., shift * scale :], net(lr[..., shift:])
    inner = slice(halo * scale, -halo * scale)
    torch.testing.assert_close(whole[..., inner], shifted[..., inner], atol=1e-5, rtol=1e-5)


@pytest.mark.slow  # compiling takes seconds
@pytest.mark.parametrize("name", NETS)
def test_compiled_it_gives_the_same_gradients(name: str) -> None:
    net = build(name, *([] if name != "ircnn" else ["model.n_denoisers=1"])).train()
    if not any(parameter.requires_grad for parameter in net.parameters()):
        pytest.skip(f"{name} is not trained")
    lr = torch.rand(2, 3, 32, 32)
    found = []
    for call in (net, torch.compile(net, dynamic=False)):
        net.zero_grad()
        call(*_inputs(net, lr)).square().mean().backward()
        found.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    eager, compiled = found
    assert eager.norm() > 0
    assert (compiled - eager).norm() < 1e-4 * eager.norm()


@pytest.mark.parametrize("name", ["srcnn", "vdsr"])
def test_luminance_net_leaves_chroma_to_bicubic(name: str) -> None:
    net = build(name, "model.channels=1")
    lr = torch.rand(1, 3, 12, 10)
    sr, enlarged = net(lr), resize(lr, (24, 20))
    torch.testing.assert_close(luma(sr), net(luma(lr)), atol=1e-5, rtol=0)
    chroma = sr - luma(sr) * 255 / 219
    torch.testing.assert_close(chroma, enlarged - luma(enlarged) * 255 / 219, atol=1e-5, rtol=0)


def test_rgb_net_refuses_a_grey_picture() -> None:
    with pytest.raises(ValueError, match="net on 3 channel"):
        SRCNN(widths=(3, 3))(torch.rand(1, 1, 8, 8))


def test_layers_have_the_papers_shapes() -> None:
    convolutions = [tuple(p.shape) for p in SRCNN(channels=1).parameters() if p.ndim == 4]
    assert convolutions == [(64, 1, 9, 9), (32, 64, 5, 5), (1, 32, 5, 5)]
    assert sum(p.numel() for p in SRCNN(channels=1, kernels=(9, 1, 5)).parameters()) == 8129
    assert sum(p.numel() for p in VDSR(channels=1).parameters()) == 665921
    assert [p.shape[0] for p in VDSR(channels=1).parameters() if p.ndim == 4] == [64] * 19 + [1]


@pytest.mark.parametrize("channels", [1, 3])
def test_srcnn_starts_as_bicubic(channels: int) -> None:
    lr = torch.rand(1, 3, 9, 9) / 2 + 0.25  # the overshoot of bicubic stays positive, where ReLU passes it on
    torch.testing.assert_close(SRCNN(channels=channels)(lr), resize(lr, (18, 18)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("net", [UNet, ResidualUNet, LargeKernelUNet])
def test_unet_starts_near_bicubic(net: type[nn.Module]) -> None:
    lr = torch.rand(1, 3, 32, 32)
    assert (net()(lr) - resize(lr, (64, 64))).abs().max() < 0.1


def test_the_unet_of_the_box_has_four_steps_down_at_a_sixth_of_vdsrs_cost() -> None:
    net = build("unet", "model.widths=[48,64,96,128,128]", "model.blocks=[4,1,1,1,1]")
    assert (net.multiple_of, len(net.down), len(net.up)) == (16, 4, 4)
    costs = {
        name: costs_of(one, scale=2, device=torch.device("cpu"), repeats=1)
        for name, one in (("unet", ResidualUNet()), ("vdsr", VDSR(channels=1)))
    }
    assert costs["unet"].macs * 6 < costs["vdsr"].macs


def test_the_large_kernel_costs_no_more_than_the_residual_blocks_in_its_place() -> None:
    widths, blocks = (48, 64, 96), (3, 1, 2)
    net = build("unet_large_kernel", f"model.widths={list(widths)}", f"model.blocks={list(blocks)}")
    kernels = [p.shape for p in net.encoder[0][-1].parameters() if p.ndim == 4 and p.shape[-1] > 3]
    assert kernels == [(16, 16, 13, 13)]
    cpu = torch.device("cpu")
    assert costs_of(net, scale=2, device=cpu, repeats=1).macs < costs_of(ResidualUNet(), scale=2, device=cpu).macs


def test_the_block_of_the_large_kernel_starts_as_the_identity_and_sees_as_far_as_it_says() -> None:
    block, features = LargeKernelBlock(20), torch.rand(1, 20, 33, 33)
    assert torch.equal(block(features), features)
    changed = features.clone()
    changed[..., 16, 16] += 1
    nn.init.normal_(block.refine.weight)
    rows = (block(changed) - block(features)).abs().sum((0, 1, 3)).nonzero().flatten()
    assert (int(rows[0]), int(rows[-1])) == (16 - block.halo, 16 + block.halo)


def test_a_residual_unet_has_blocks_for_every_width() -> None:
    with pytest.raises(ValueError, match=r"a width and blocks for each of 2 levels or more: \[4, 4\], \[1\]"):
        ResidualUNet(widths=(4, 4), blocks=(1,))


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="3 odd kernels"):
        SRCNN(kernels=(9, 4, 5))
    with pytest.raises(ValueError, match=r"widths \[8, 2\] must be at least 3"):
        SRCNN(widths=(8, 2))
    with pytest.raises(ValueError, match="at least 2 layers, not 1"):
        VDSR(depth=1)


def test_module_without_the_contract_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear is no zoomsr net: it lacks the attribute"):
        scale_of(nn.Linear(1, 1))


def test_conf_dir_is_this_checkout() -> None:
    assert Path(__file__).parents[2] / "conf" == CONF_DIR
