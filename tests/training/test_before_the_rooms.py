"""Files that were written when every module of zoomsr lay on one floor: a run, and an exported net with its card."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoomsr import upscale
from zoomsr.imaging.degradations import Bicubic
from zoomsr.models.ircnn import IRCNN
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.job import Job
from zoomsr.runs.run import Run
from zoomsr.runs.trust import sign_all

OLD = Path(__file__).parent / "before_the_rooms"


@pytest.fixture
def run(tmp_path: Path, photos: Path) -> Path:
    """As if this user had made it; its photographs are those of the fixture."""
    folder: Path = shutil.copytree(OLD / "run", tmp_path / "run")
    sign_all(folder)
    return folder


def test_a_run_resumes(run: Path, command: Callable[..., Path]) -> None:
    assert "zoomsr.training.losses.Gradient" in str(Job(run).settings())
    assert "zoomsr.losses.Gradient" in (run / "settings.yaml").read_text()
    first = Run.read(run)
    command(f"ckpt={run}", "trainer.max_epochs=2")
    assert [row["epoch"] for row in Run.read(run).epochs] == [1, 2]
    assert Run.read(run).epochs[0] == first.epochs[0]


def test_a_checkpoint_and_an_exported_net_with_its_card_zoom_alike(run: Path) -> None:
    lr = np.asarray(Image.effect_noise((20, 16), 80).convert("RGB"))
    exported = upscale(lr, model=str(OLD / "run_x2.safetensors"), device="cpu")
    kept = upscale(lr, model=str(run / "checkpoints" / "last.ckpt"), device="cpu")
    assert exported.shape == (32, 40, 3)
    assert np.abs(exported.astype(int) - kept.astype(int)).max() <= 1  # exported nets have 16 bits
    card = Weights.read(OLD / "run_x2.safetensors").card
    assert card is not None
    assert card.degradation == "Box(scale=2)"


def test_a_net_that_names_a_degradation_is_built(tmp_path: Path) -> None:
    old = {"_target_": "zoomsr.models.ircnn.IRCNN", "width": 4, "n_denoisers": 2, "iterations": 1, "scale": 2}
    old["degradation"] = {"_target_": "zoomsr.degradations.Bicubic", "scale": 2}
    tensors = IRCNN(width=4, n_denoisers=2, iterations=1, scale=2, degradation=Bicubic(2)).state_dict()
    Weights(tmp_path / "old.safetensors", tensors, old).save(tmp_path / "old.safetensors")
    weights = Weights.read(tmp_path / "old.safetensors")
    net = weights.build()
    assert isinstance(net, IRCNN)
    assert net(torch.rand(1, 3, 8, 8)).shape == (1, 3, 16, 16)
