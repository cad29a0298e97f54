"""The checks of ``tests/gpu``, with the CPU in the GPU's place: there only the device is new.

Kills, signals and NaNs are checked in ``test_resume``, ``test_stopping`` and ``test_guard``, waiting in
``test_waiting``, by the same functions.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from _support.device_checks import (
    Train,
    astronaut,
    batch_hashes,
    exported_differs,
    learnt,
    most_levels,
    require_same_scores,
    scores_of_ranks,
    scores_on,
    sweep_by_slots,
    tiles_run,
    zoomed,
)
from _support.tiny import photograph

from zoomsr.models.srcnn import SRCNN
from zoomsr.models.vdsr import VDSR
from zoomsr.pretrained.weights import Weights

CPU = torch.device("cpu")


def test_batches_have_a_hash_each_wherever_the_pixels_are(photos: Path) -> None:
    host, resident = (batch_hashes(photos, CPU, where, count=20, occupy=lambda: None) for where in ("host", "device"))
    assert len(set(host)) == 20
    assert host == resident


@pytest.mark.slow
def test_a_training_learns(train: Train) -> None:
    assert learnt(train, "trainer.precision=bf16-mixed") > 33


def test_scores_of_weights_that_stand_still(train: Train, tmp_path: Path) -> None:
    start = tmp_path / "srcnn.safetensors"
    Weights(start, SRCNN(widths=[8, 4]).state_dict(), None).save(start)
    validated, tested = scores_on(train, start)
    assert {"val/psnr_y", "val/ssim_y", "val/error_band_4"} < validated.keys()
    ((_, scores),) = tested.items()
    require_same_scores({name: validated[f"val/{name}"] for name in scores}, scores)
    with pytest.raises(AssertionError, match="psnr_y"):
        require_same_scores(scores, {**scores, "psnr_y": scores["psnr_y"] + 0.003})


def test_tiles_halves_and_the_whole_are_within_a_level() -> None:
    pixels = astronaut()[:64, :80]
    for model in ("srcnn", "unet"):
        whole = zoomed(model, pixels, "cpu", tile=500)
        assert most_levels(whole, zoomed("bicubic", pixels, "cpu")) > 1
        assert most_levels(whole, zoomed(model, pixels, "cpu", tile=32)) <= 1
    assert most_levels(whole, zoomed("unet", pixels, "cpu", precision="bf16")) <= 1


def test_tiles_are_counted() -> None:
    pixels = photograph(40, 40)
    whole, done = tiles_run(VDSR(width=4, depth=3), pixels, CPU, tile=64)
    assert whole.shape == (80, 80, 3)
    assert done == [6400]
    assert len(tiles_run(VDSR(width=4, depth=3), np.tile(pixels, (2, 2, 1)), CPU, tile=32)[1]) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["net.pt2", "net.onnx"])
def test_an_exported_net_gives_the_nets_own_pixels(tmp_path: Path, name: str) -> None:
    trained = tmp_path / "srcnn.safetensors"
    config = {"_target_": "zoomsr.models.srcnn.SRCNN", "widths": [6, 5]}
    Weights(trained, SRCNN(widths=[6, 5]).state_dict(), config).save(trained)
    assert exported_differs(trained, tmp_path / name, CPU) < 1e-4


@pytest.mark.slow
def test_one_rank_trains_as_no_rank_does(train: Train, tmp_path: Path, photos: Path) -> None:
    (alone,) = train("trainer.max_epochs=1").epochs
    row = scores_of_ranks(tmp_path, photos, ranks=1)
    assert row["val/psnr_y"] == pytest.approx(alone["val/psnr_y"], abs=1e-4)


@pytest.mark.slow
def test_jobs_of_a_sweep_run_beside_one_another(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
    runs = sweep_by_slots(tmp_path, photos, (1, 2), "logger=none")
    assert len({run.means()["srcnn"]["psnr_y"] for run in runs}) == 2
