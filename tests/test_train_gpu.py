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

from zoomsr.cli.config import instantiate, plain
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import weights_file
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.run import Run
from zoomsr.training.warm_start import warm_start

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


def _trainings(said: str) -> list[list[str]]:
    """The arguments of each ``zoomsr.train`` of a dry run."""
    commands = (line.partition("-m zoomsr.train ")[2].rstrip("& \\") for line in said.splitlines())
    return [shlex.split(command) for command in commands if command]


def test_each_net_starts_from_its_pretrained_weights_and_has_the_minutes(tmp_path: Path) -> None:
    said = _make("-n", "NETS=unet vdsr srcnn", "DATA=my photos", "VAL=others", "MINUTES=7", folder=tmp_path)
    trainings = _trainings(said)
    for number, net in enumerate(("unet", "vdsr", "srcnn")):
        before, after = (
            composed(*(text for text in one if not text.startswith(("hydra.", "overwrite="))), "run_dir=run")
            for one in trainings[2 * number :][:2]
        )
        assert (after.ckpt, after.ckpt_mode, after.scale) == (net, "weights", 2)
        Weights.read(weights_file(net) or ROOT).require(dict(after.model))
        assert (after.data.root, after.data.val_root) == ("my photos", "others")
        assert (before.budget, before.trainer.max_epochs, after.budget) == (None, 0, "7m")
        assert {key for key in before if before[key] != after[key] and key != "hydra"} == {"budget", "trainer"}
    assert f"{tmp_path}/gpu_vdsr_before {tmp_path}/gpu_vdsr -o" in said.replace('"', "")


def test_a_net_of_another_scale_is_trained_by_the_recipe_of_its_net_at_that_scale(tmp_path: Path) -> None:
    (tmp_path / "the set").mkdir()
    (tmp_path / "the set" / "photos.csv").touch()
    said = _make("-n", "NETS=unet unet_x3 unet_x4", f"DATA={tmp_path}/the set", folder=tmp_path)
    recipe = composed("experiment=unet_photos", "run_dir=run")
    for scale, arguments in zip((2, 3, 4), _trainings(said)[1::2], strict=True):
        made = composed(*(text for text in arguments if not text.startswith(("hydra.", "overwrite="))), "run_dir=run")
        assert (made.scale, made.model.scale, made.degradation.scale) == (scale, scale, scale)
        assert (made.ckpt, made.ckpt_mode, made.data.root) == ("unet", "weights", f"{tmp_path}/the set")
        assert made.data.module.source._target_ == recipe.data.module.source._target_
        assert (made.optimizer, made.ema) == (recipe.optimizer, recipe.ema)
        net = instantiate(made.model)
        assert made.data.patch % (scale * net.multiple_of) == 0  # no padding inside the net
        anew = warm_start(net, Weights.read(weights_file("unet") or ROOT), plain(made.model))
        assert anew == (None if scale == 2 else f"scale={scale} instead of 2; tail.weight, tail.bias start anew")
    for name in ("unet", "unet_x3", "unet_x4"):
        before, after, out = (
            f"{tmp_path}/{place}" for place in (f"gpu_{name}_before", f"gpu_{name}", f"exported/{name}")
        )
        assert f'"{before}" "{after}" -o' in said
        assert f'-m "{after}" -o "{out}.safetensors"' in said


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
