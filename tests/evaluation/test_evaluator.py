"""Large pictures are measured in tiles, and give the scores of whole ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from _support.tiny import photograph
from PIL import Image
from torch import Tensor

from zoomsr.evaluation import evaluator
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.imaging.degradations import Bicubic
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.vdsr import VDSR


class Counted(torch.nn.Module):
    """A net with a memory for so many lr pixels."""

    def __init__(self, net: torch.nn.Module, memory: int) -> None:
        super().__init__()
        self.net, self.memory, self.sizes = net, memory, list[int]()
        for name in ("scale", "channels", "multiple_of", "halo"):
            setattr(self, name, getattr(net, name))

    def forward(self, lr: Tensor) -> Tensor:
        self.sizes.append(lr.shape[-2] * lr.shape[-1])
        if self.sizes[-1] > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.net(lr)


@pytest.fixture
def images(tmp_path: Path) -> Benchmark:
    Image.fromarray(photograph(110, 121)).save(tmp_path / "a.png")
    return Benchmark.find(tmp_path, scale=2, published_lr=False)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("largest", "memory"), [(0, 10**9), (10**9, 2000)], ids=["large", "out of memory"])
def test_scores_do_not_depend_on_tiles(
    channels: int, largest: int, memory: int, images: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    net = VDSR(width=4, depth=3, channels=1) if channels == 1 else ResidualUNet(widths=[4, 5], blocks=[1, 1])
    for parameter in net.eval().requires_grad_(False).parameters():
        parameter += 0.05 * torch.randn_like(parameter)

    def measured(net: torch.nn.Module) -> dict[str, dict[str, float]]:
        found = evaluator.evaluate(
            {"net": net}, images, degradation=Bicubic(2), device=torch.device("cpu"), advance=list
        )["net"]
        return {protocol: scores["a"].as_dict() for protocol, scores in found.items()}

    whole = measured(net)
    monkeypatch.setattr(evaluator, "_LARGEST_WHOLE", largest)
    monkeypatch.setattr(evaluator, "TILE", 8)
    counted = Counted(net, memory)
    for protocol, scores in measured(counted).items():
        assert scores == pytest.approx(whole[protocol], abs=1e-4)
    assert min(counted.sizes) < 55 * 60
    assert (55 * 60 in counted.sizes) == (largest > 0)
