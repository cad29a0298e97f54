import pytest
import torch
from torch import nn

from zoomsr.imaging.resize import resize
from zoomsr.models.complexity import costs_of
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.unet import UNet
from zoomsr.models.vdsr import VDSR

CPU = torch.device("cpu")


class OneLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 12, 3, padding=1, bias=False)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.shuffle(self.layer(lr))


def test_costs_of_one_layer_by_hand() -> None:
    costs = costs_of(OneLayer(), scale=2, device=CPU, repeats=1)
    assert costs.params == 3 * 12 * 9
    assert costs.macs == 360 * 640 * 3 * 12 * 9
    # The input of 128x128x3, what the layer makes of it (4 times as much), and that shuffled.
    assert costs.peak_mb == pytest.approx((3 + 12 + 12) * 128**2 * 4 / 1e6, abs=0.01)
    assert costs.latency_ms > 0


def test_published_multiply_adds() -> None:
    # 612.6 G is VDSR's in CARN's table 1 (Ahn et al., ECCV 2018); bicubic before it and the luma after it are ours.
    assert costs_of(VDSR(channels=1), scale=2, device=CPU, repeats=1).macs == pytest.approx(612.6e9, rel=2e-4)
    # 57,184 weights at each of the output's pixels.
    assert costs_of(SRCNN(channels=1), scale=2, device=CPU, repeats=1).macs == pytest.approx(
        57184 * 720 * 1280, rel=2e-3
    )


class Resize(nn.Module):
    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return resize(lr, (2 * lr.shape[-2], 2 * lr.shape[-1]))


def test_what_is_counted_leaves_nothing_to_later_pictures() -> None:
    costs_of(Resize(), scale=2, device=CPU, repeats=1)
    assert float(resize(torch.full((1, 360, 640), 0.5), (720, 1280)).mean()) == pytest.approx(0.5)


def test_a_net_stays_in_its_mode() -> None:
    net = UNet(width=4, depth=2).train()
    costs_of(net, scale=2, device=CPU, repeats=1)
    assert net.training


def test_a_compiled_net_is_measured_as_it_is_without() -> None:
    compiled = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
        compiled.append(graph)
        return graph.forward

    net = SRCNN(widths=[4, 3])
    plain = costs_of(net, scale=2, device=torch.device("cpu"), repeats=1)
    net.compile(backend=backend, dynamic=False)
    costs = costs_of(net, scale=2, device=torch.device("cpu"), repeats=1)
    assert (costs.macs, costs.peak_mb) == (plain.macs, plain.peak_mb)
    assert not compiled
