"""The benchmark of a GPU, without one: its arithmetic, its time limits, and a training and a photograph on a CPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.benchmarks.gpu_speed import bench
from experiments.benchmarks.gpu_speed.bench import DEVICE, line, planned, verdicts, write
from experiments.benchmarks.jobs import WAYS, Sizes, answered, training_rows, zoom_rows
from experiments.benchmarks.turns import TURNS

SIZES = Sizes(device="cpu", patch=32, batch=2, seconds=0.2, height=12, width=16, side=64)
BEST = {"fp32": 2.0, "TF32": 20.0, "bf16": 40.0}
ABOUT: dict[str, Any] = {"name": "A GPU", "best": BEST, "versions": {"torch": "2.13.0"}}


def _training(seconds: float, **more: Any) -> dict[str, Any]:
    """A step of ``seconds``, in the middle of three turns; the raw loop takes nine tenths of each."""
    trainer = [0.9 * seconds, seconds, 2 * seconds]
    raw = [0.9 * one for one in trainer]
    waiting, flop = [0.5, 0.01, 0.0], 1e12
    return {"patches": 32, "trainer": trainer, "raw": raw, "waiting": waiting, "flop": flop, "peak": 2e9, **more}


def test_all_of_a_net_comes_before_the_next() -> None:
    assert planned(["unet", "srcnn"], ["fp32"]) == [
        DEVICE,
        ("train", "unet", "fp32"),
        ("zoom", "unet", "fp32"),
        ("zoom", "unet", "bf16"),
        ("train", "srcnn", "fp32"),
    ]


def test_rates_are_those_of_the_middle_turn_beside_fp32_and_beside_the_devices_best() -> None:
    found = {
        ("train", "unet", "fp32"): _training(1.0),
        ("train", "unet", "TF32"): {"error": "OutOfMemoryError: 80 GB"},
        ("train", "unet", "bf16, channels_last"): _training(0.25, **{"no kernel": 0.3, "kernels": 250.0}),
        ("train", "vdsr", "bf16"): _training(0.5),
    }
    first, failed, fast, alone = training_rows(found, BEST)
    assert (first["patches_per_s"], first["times_fp32"], first["of_matrix_product"]) == (32, 1, 0.5)
    assert failed == {"net": "unet", "way": "TF32", "note": "OutOfMemoryError: 80 GB"}
    assert (fast["patches_per_s"], fast["times_fp32"], fast["of_matrix_product"]) == (128, 4, 0.1)
    assert (fast["of_raw_loop"], fast["waiting"], fast["no_kernel"]) == (pytest.approx(0.9), 0.01, 0.3)
    assert (fast["peak_gb"], fast["trainer_ms"], fast["kernels_per_step"]) == (2, 250, 250)
    assert (alone["patches_per_s"], alone["times_fp32"]) == (64, None)
    assert verdicts({DEVICE: ABOUT, **found}) == [
        "unet, bf16, channels_last: 4.00 times fp32 (4), 0.90 of the raw loop (0.9), 1.0% waiting (1%)",
        "vdsr, bf16: fp32 is missing, 0.90 of the raw loop (0.9), 1.0% waiting (1%)",
    ]


def test_a_photograph_is_counted_before_it_is_upscaled() -> None:
    found = {
        ("zoom", "unet", "fp32"): {"seconds": 4.0, "peak": 3e9},
        ("zoom", "unet", "bf16"): {"seconds": 1.0, "peak": None},
    }
    whole, half = zoom_rows(found, Sizes("cuda", 96, 32, 2, height=4000, width=6000, side=8192))
    assert (whole["lr"], whole["times_fp32"], whole["megapixels_per_s"], whole["peak_gb"]) == ("6000x4000", 1, 6, 3)
    assert (half["times_fp32"], half["megapixels_per_s"], half["peak_gb"]) == (4, 24, None)


@pytest.mark.slow
def test_a_training_and_a_photograph_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)  # which the training replaces
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    found = answered("train", "srcnn", "fp32", sizes=SIZES)
    assert not torch.backends.cudnn.allow_tf32
    assert all(len(found[key]) == TURNS for key in ("raw", "trainer", "waiting"))
    assert min(found["raw"] + found["trainer"]) > 0
    assert all(0 <= share < 0.5 for share in found["waiting"])
    first, later = 64 * 3 * 81, 64 * 32 * 25 + 32 * 3 * 25  # multiply-adds of SRCNN 9-5-5 for a pixel
    backward = first + 2 * later  # lr gets no gradient
    assert found["flop"] == pytest.approx(2 * (first + later + backward) * 2 * 32 * 32, rel=1e-3)
    assert (found["patches"], found["peak"]) == (2, None)
    assert answered("zoom", "unet", "bf16", sizes=SIZES)["seconds"] > 0
    assert answered(*DEVICE, sizes=SIZES)["best"].keys() == BEST.keys()
    assert answered("zoom", "nothing", "fp32", sizes=SIZES)["error"].startswith("ValueError: there are no weights of")


def test_the_readme_shows_what_was_measured_and_says_so_where_nothing_was(tmp_path: Path) -> None:
    assert ("No GPU has been at hand yet" in (bench.HERE / "README.md").read_text()) != (
        bench.HERE / "results.csv"
    ).exists()
    found = {
        DEVICE: ABOUT,
        ("train", "unet", "fp32"): _training(1.0),
        ("train", "unet", "TF32"): {"error": "ValueError: no"},
        ("zoom", "unet", "fp32"): {"seconds": 4.0, "peak": 3e9},
    }
    write(tmp_path, found, SIZES)
    text = (tmp_path / "README.md").read_text()
    assert "| unet | fp32 | 32.0 | 1.00 | 0.900 | 50% | 1.0% | - | - | 2.00 | - |" in text
    assert "| unet | TF32 | - | - | - | - | - | - | - | - | ValueError: no |" in text
    assert "| unet | fp32 | 4.00 | 1.00 | 0.0 | 3.00 | - |" in text
    assert "On A GPU, " in text
    assert "torch 2.13.0." in text
    with pytest.raises(ValueError, match="nothing was measured: no driver"):
        write(tmp_path, {DEVICE: {"error": "no driver"}}, SIZES)


def test_each_job_has_a_line() -> None:
    assert line(DEVICE, ABOUT).startswith("A GPU, matrix products at 2 TFLOP/s in fp32, 20 TFLOP/s in TF32, 40")
    assert line(("train", "unet", "bf16"), _training(0.1)) == "train unet bf16: 320 patches/s"
    assert line(("zoom", "unet", "bf16"), {"seconds": 2.5}) == "zoom unet bf16: 2.50 s"
    assert line(("zoom", "unet", "bf16"), {"error": "why"}) == "zoom unet bf16: why"


@pytest.mark.slow
def test_the_command_runs_without_a_gpu(tmp_path: Path) -> None:
    small = ["--patch", "32", "--batch", "2", "--timed", "0.2", "--height", "12", "--width", "16", "--side", "64"]
    command = [
        sys.executable,
        "-m",
        "experiments.benchmarks.gpu_speed.bench",
        "--device",
        "cpu",
        "--out",
        str(tmp_path),
        *small,
    ]
    ran = subprocess.run(
        [*command, "--net", "srcnn", *("--way", "fp32", "--way", "bf16, channels_last, CUDA graphs")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(bench.__file__).parents[3],
    )
    assert [text.split("] ")[1].split(":")[0] for text in ran.stdout.splitlines()[1:3]] == [
        "train srcnn fp32",
        "train srcnn bf16, channels_last, CUDA graphs",
    ]
    assert "| srcnn | bf16, channels_last, CUDA graphs |" in (tmp_path / "README.md").read_text()
    assert next(iter(WAYS)) == "fp32"
