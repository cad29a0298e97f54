"""``unet_photo`` on JPEGs of published test pictures."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import fmean

import pytest
import torch

from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.evaluator import evaluate
from zoomsr.imaging.degradations import Bicubic as BicubicDown
from zoomsr.imaging.degradations import Chain, Jpeg
from zoomsr.inference.choice import CLEAN_QUALITY
from zoomsr.models.bicubic import Bicubic
from zoomsr.pretrained.names import weights_file
from zoomsr.pretrained.weights import Weights

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "ZOOMSR_BENCHMARKS" not in os.environ, reason="set ZOOMSR_BENCHMARKS to a folder with Set5/ and Set14/"
    ),
]


def _gains(net: str, folder: str, quality: int) -> list[float]:
    """dB over bicubic, of each picture."""
    path = weights_file(net)
    assert path is not None
    scores = evaluate(
        {"bicubic": Bicubic(2), net: Weights.read(path).build()},
        Benchmark.find(Path(os.environ["ZOOMSR_BENCHMARKS"]) / folder, scale=2, published_lr=False),
        degradation=Chain([BicubicDown(2), Jpeg(quality)]),
        device=torch.device("cpu"),
        advance=lambda: None,
    )
    pairs = zip(scores[net]["modern"].values(), scores["bicubic"]["modern"].values(), strict=True)
    return [one.psnr_y - other.psnr_y for one, other in pairs]


@pytest.mark.parametrize("folder", ["Set5", "Set14"])
@pytest.mark.parametrize("quality", [20, 30, 50, 75, 90, CLEAN_QUALITY - 1])
def test_no_picture_is_worse_than_by_bicubic(folder: str, quality: int) -> None:
    assert min(_gains("unet_photo", folder, quality)) > 0


@pytest.mark.parametrize("folder", ["Set5", "Set14"])
def test_nor_is_one_that_is_nearly_clean_by_the_other_net(folder: str) -> None:
    assert min(_gains("unet", folder, CLEAN_QUALITY)) > 0


@pytest.mark.parametrize(("quality", "least"), [(95, 2.6), (85, 1.4), (75, 1.0), (50, 0.7)])
def test_what_it_gains(quality: int, least: float) -> None:
    assert fmean(_gains("unet_photo", "Set5", quality)) > least
