"""Trained nets on a GPU: pixels and scores are those of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _support.device_checks import (
    GPU,
    Train,
    astronaut,
    exported_differs,
    little_memory,
    most_levels,
    require_same_scores,
    tiles_run,
    zoomed,
)
from _support.tiny import photograph

from zoomsr.models.vdsr import VDSR


@pytest.mark.parametrize("tile", [None, 32])
@pytest.mark.parametrize(("model", "precision"), [("srcnn", "32"), ("vdsr", "32"), ("unet", "32"), ("unet", "bf16")])
def test_a_photograph_is_within_a_level_of_the_cpus(model: str, precision: str, tile: int | None) -> None:
    pixels = astronaut()
    expected = zoomed(model, pixels, "cpu", tile=500)
    assert most_levels(zoomed(model, pixels, "cuda", precision=precision, tile=tile), expected) <= 1


def test_full_memory_halves_the_tile_and_loses_nothing(cuda: torch.device) -> None:
    net, pixels = VDSR(width=64, depth=4), np.tile(photograph(64, 64), (4, 4, 1))
    net.residual.weight.data *= 0.05
    expected, _ = tiles_run(net, pixels, torch.device("cpu"), tile=256)
    tiles_run(net, pixels[:64, :64], cuda, tile=64)  # cuDNN has its own memory by now
    with little_memory(100 * 2**20):  # a layer of the whole picture takes 64 MiB, and there are two at once
        out, done = tiles_run(net, pixels, cuda, tile=256)
    assert most_levels(out, expected) <= 1
    assert len(done) > 1
    assert sum(done) == 512 * 512


def test_an_evaluation_has_the_scores_of_the_cpu(evaluate: Callable[..., dict[str, Any]], photos: Path) -> None:
    pictures = (f"data_dir={photos}", "ckpt=[srcnn,unet]")
    on_cpu, on_gpu = (evaluate(*pictures, f"device={device}")["sets"] for device in ("cpu", "cuda"))
    (nets,), (others,) = on_cpu.values(), on_gpu.values()
    assert list(nets) == list(others) == ["bicubic", "srcnn", "unet"]
    for net, protocols in nets.items():
        for protocol, scores in protocols.items():
            for name, row in scores["images"].items():
                require_same_scores(row, others[net][protocol]["images"][name])


@pytest.mark.parametrize("name", ["net.pt2", "net.onnx"])
def test_what_was_trained_here_can_be_exported(train: Train, tmp_path: Path, cuda: torch.device, name: str) -> None:
    run = train(GPU, "trainer.max_epochs=1")
    assert exported_differs(run.path / "checkpoints" / "best.ckpt", tmp_path / name, cuda) < 1e-3
