"""A training that meets NaN, and how it ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from zoomsr.models.srcnn import SRCNN
from zoomsr.runs.run import Run

Train = Callable[..., Run]


class Fragile(SRCNN):
    """Divides by the brightest pixel of each patch: by nought where a patch is black."""

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        brightest = lr.amax((1, 2, 3), keepdim=True)
        return super().forward(lr / brightest) * brightest


@pytest.fixture
def black(photos: Path) -> None:
    """One of the photographs to train on is black."""
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(photos / "0.png")


def fails(train: Train, capsys: pytest.CaptureFixture[str], *overrides: str) -> str:
    """The line with which a training ends."""
    with pytest.raises(SystemExit) as stop:
        train(*overrides)
    assert stop.value.code == 1
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    return line


def require_named(train: Train, capsys: pytest.CaptureFixture[str], tmp_path: Path, *overrides: str) -> None:
    """Train until a NaN comes, and read what is said and kept of it; one photograph is black."""
    line = fails(
        train,
        capsys,
        "model._target_=_support.guard.Fragile",
        "data.batch_size=2",
        "callbacks.last.minutes=0",
        *overrides,
    )
    step = int(re.search(r"L1Loss is nan at step (\d+), epoch 1", line).group(1))  # type: ignore[union-attr]
    assert "comes out of net.upscale (Upscale)" in line
    named = re.findall(r"(\S+) at \((\d+), (\d+)\) augmentation \d", line)
    assert len(named) == 2
    assert "0.png" in {name for name, _, _ in named}
    assert all(int(left) <= 64 - 32 and int(top) <= 48 - 32 for _, left, top in named)
    file = re.search(r"lr, hr and the weights are kept in (\S+);", line).group(1)  # type: ignore[union-attr]
    assert file == f"run0/nonfinite_step{step}.safetensors"
    kept = load_file(tmp_path / file)
    black = [int(picture.max() == 0) for picture in kept["hr"]]
    assert black == [int(name == "0.png") for name, _, _ in named]
    assert kept["lr"].shape == (2, 3, 16, 16)
    net = SRCNN(widths=[8, 4])
    net.load_state_dict({key[4:]: value for key, value in kept.items() if key.startswith("net.")})
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())  # as they were before the step
    last = torch.load(tmp_path / "run0" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == step - 1 > 0
    assert all(torch.isfinite(value).all() for value in last["state_dict"].values())
