"""What `make train-gpu` runs, without a GPU."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _support.tiny import composed, photograph
from PIL import Image

from zoomsr.pretrained.card import Card
from zoomsr.pretrained.weights import Weights, weights_file
from zoomsr.runs.run import Run

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def _make(*arguments: str, folder: Path) -> str:
    """With this Python in the place of .venv, which counts as installed."""
    ready = folder / "ready"
    ready.touch()
    python = [f"BIN={Path(sys.executable).parent}", f"PYTHON={sys.executable}", f"READY={ready}"]
    environment = {**os.environ, "ZOOMSR_RUNS": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["make", "train-gpu", *python, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout


def test_each_net_starts_from_its_weights_in_the_box_and_has_the_minutes(tmp_path: Path) -> None:
    said = _make("-n", "NETS=unet vdsr srcnn", "DATA=my photos", "VAL=others", "MINUTES=7", folder=tmp_path)
    commands = (line.partition("-m zoomsr.train ")[2].rstrip("& \\") for line in said.splitlines())
    trainings = [shlex.split(command) for command in commands if command]
    for number, net in enumerate(("unet", "vdsr", "srcnn")):
        before, after = (
            composed(*(text for text in one if not text.startswith(("hydra.", "overwrite="))), "run_dir=run")
            for one in trainings[2 * number :][:2]
        )
        assert ROOT / after.ckpt == weights_file(net)
        Weights.read(ROOT / after.ckpt).require(dict(after.model))
        assert (after.data.root, after.data.val_root) == ("my photos", "others")
        assert (before.budget, before.trainer.max_epochs, after.budget) == (None, 0, "7m")
        assert {key for key in before if before[key] != after[key] and key != "hydra"} == {"budget", "trainer"}
    assert f"{tmp_path}/gpu_vdsr_before {tmp_path}/gpu_vdsr -o" in said.replace('"', "")


@pytest.mark.slow
def test_a_net_is_trained_on_for_its_time_exported_and_compared(tmp_path: Path) -> None:
    photos, runs, out = tmp_path / "photos", tmp_path / "runs", tmp_path / "out"
    photos.mkdir()
    runs.mkdir()
    for number in range(4):
        Image.fromarray(photograph(64, 72, seed=number)).save(photos / f"{number}.png")
    small = "trainer.accelerator=cpu compile=false"
    small += " data.patch=32 data.batch_size=4 data.patches_per_image=16 data.min_side=48 data.val_patch=48"
    said = _make("NETS=srcnn", f"DATA={photos}", "BUDGET=2s", f"OUT={out}", f"ARGS={small}", folder=runs)
    card = Card.beside(out / "srcnn.safetensors")
    assert card is not None
    assert (card.data["name"], card.data["n_train"], card.data["n_val"]) == ("photos", 3, 1)
    assert "budget=2s" in card.command.split()
    assert "ckpt_mode=weights" in card.command.split()
    assert Weights.read(out / "srcnn.safetensors").own_config() == card.net
    scores = {name: Run.read(runs / name).means()["srcnn"]["psnr_y"] for name in ("gpu_srcnn_before", "gpu_srcnn")}
    assert scores["gpu_srcnn_before"] != scores["gpu_srcnn"]
    for label, score in zip(("max_epochs=0", "budget=2s"), scores.values(), strict=True):
        (row,) = (line for line in said.splitlines() if line.split()[1:2] == [label])  # of the comparison
        assert f"{score:.2f}" in row
    assert "budget=2s" in (out / "srcnn.csv").read_text()
