from __future__ import annotations

import pytest
import torch
from _support.nets import NETS, build
from _support.texts import assert_readable
from torch import Tensor, nn

from zoomsr.figures import Stage, architecture, stages
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.ircnn import IRCNNDenoiser
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.self_ensemble import SelfEnsemble
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.unet import UNet
from zoomsr.models.vdsr import VDSR

SMALL_U = [
    Stage("encoder.0", 8, 64, 64),
    Stage("encoder.1", 16, 32, 32),
    Stage("encoder.2", 32, 16, 16),
    Stage("up.0", 16, 32, 32),
    Stage("decoder.0", 16, 32, 32, skip_from=1),
    Stage("up.1", 8, 64, 64),
    Stage("decoder.1", 8, 64, 64, skip_from=0),
    Stage("extra_up", 8, 128, 128),
    Stage("refine", 8, 128, 128),
    Stage("tail", 3, 128, 128),
]


def test_a_u_net_with_its_skips() -> None:
    assert stages(UNet(width=8, depth=2)) == SMALL_U


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_each_decoder_takes_the_encoder_of_its_level(depth: int) -> None:
    found = stages(UNet(width=8, depth=depth, batch_norm=True, residual=False))
    skips = {stage.name: found[stage.skip_from].name for stage in found if stage.skip_from is not None}
    assert skips == {f"decoder.{level}": f"encoder.{depth - 1 - level}" for level in range(depth)}
    assert [stage.height for stage in found[: depth + 1]] == [64 >> level for level in range(depth + 1)]


def test_skips_that_are_added() -> None:
    found = stages(ResidualUNet(widths=(8, 12, 16), blocks=(2, 1, 1)))
    assert [(stage.name, stage.channels, stage.height) for stage in found] == [
        *(("head", 8, 64), ("encoder.0", 8, 64), ("down.0", 12, 32), ("encoder.1", 12, 32), ("down.1", 16, 16)),
        *(("encoder.2", 16, 16), ("up.1", 12, 32), ("decoder.1", 12, 32), ("up.0", 8, 64), ("decoder.0", 8, 64)),
        ("tail", 12, 64),
    ]
    skips = {stage.name: found[stage.skip_from].name for stage in found if stage.skip_from is not None}
    assert skips == {"decoder.1": "encoder.1", "decoder.0": "encoder.0"}


def test_a_net_on_luma_is_run_on_luma() -> None:
    found = stages(UNet(width=8, depth=2, channels=1), side=32)
    assert found[-1] == Stage("tail", 1, 64, 64)
    assert found[0] == Stage("encoder.0", 8, 32, 32)


def test_srcnn_is_three_stages() -> None:
    assert stages(SRCNN()) == [
        Stage("patch_extraction", 64, 128, 128),
        Stage("non_linear_mapping", 32, 128, 128),
        Stage("reconstruction", 3, 128, 128),
    ]


def test_vdsr_is_its_twenty_convolutions() -> None:
    found = stages(VDSR(width=16), side=16)
    assert [(stage.channels, stage.height) for stage in found] == [(16, 32)] * 19 + [(3, 32)]
    assert [stage.name for stage in found[:2]] == ["body.0", "body.2"]
    assert {stage.skip_from for stage in found} == {None}


def test_normalisation_is_no_stage() -> None:
    assert [stage.name for stage in stages(IRCNNDenoiser(width=4, dilations=(1, 2, 1)))] == [
        "body.0",
        "body.2",
        "noise",
    ]


def test_a_wrapper_is_looked_into_and_each_stage_is_counted_once() -> None:
    found = stages(SelfEnsemble(UNet(width=8, depth=2)))
    assert [stage.name for stage in found] == [f"net.{stage.name}" for stage in SMALL_U]
    assert [stage.skip_from for stage in found] == [stage.skip_from for stage in SMALL_U]


def test_a_net_without_kernels_is_one_stage() -> None:
    assert stages(Bicubic()) == [Stage("Bicubic", 1, 128, 128)]


class _Flat(nn.Module):
    """Its second stage gives no picture."""

    channels = 3

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(8, 2)

    def forward(self, lr: Tensor) -> Tensor:
        return self.second(self.first(lr).flatten(1)[:, :8])


def test_an_output_that_is_no_picture_is_left_out() -> None:
    assert stages(_Flat(), side=8) == [Stage("first", 4, 8, 8)]


def test_the_net_is_left_as_it_was() -> None:
    net = UNet(width=8, depth=2, batch_norm=True)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    stages(net)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize("name", NETS)
def test_every_net_of_conf_is_drawn_from_its_modules(name: str) -> None:
    net = build(name)
    found = stages(net, side=16)
    modules = dict(net.named_modules())
    assert all(stage.name in modules or found == [stage] for stage in found)
    figure = architecture(found)
    assert_readable(figure)
    blocks = figure.axes[0].patches
    tops = {round(block.get_y() + block.get_height(), 6) for block in blocks}
    assert len(tops) == len({stage.height for stage in found})
    assert len(blocks) <= len(found)
    words = "".join(text.get_text() for text in figure.axes[0].texts)
    assert all(f"{stage.channels} ch\n{stage.width}x{stage.height}" in words for stage in found)


def test_skips_of_the_net_are_drawn_between_its_levels() -> None:
    (ax,) = architecture(SMALL_U).axes
    skips = [line for line in ax.lines if line.is_dashed()]
    middles = [block.get_x() + block.get_width() / 2 for block in ax.patches]
    assert [(line.get_xdata()[0], line.get_xdata()[-1]) for line in skips] == [
        pytest.approx((middles[1], middles[4])),
        pytest.approx((middles[0], middles[6])),
    ]
