"""Images per second of the trainer beside a raw PyTorch loop: ``make bench-train``."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import typer
from lightning.pytorch import Trainer
from rich.progress import track
from torch import nn

from experiments import numbers
from experiments.benchmarks.timing import matrix_rate
from experiments.loading.bench import write_photographs
from experiments.loading.rivals import WholePng, batches
from experiments.report import Value, machine, write_facts, write_rows
from experiments.training_speed.rivals import Bare
from zoomsr.image import to_float
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.unet import UNet
from zoomsr.runs import versions

HERE = Path(__file__).parent
PATCH, BATCH, EPOCHS = 64, 8, 5

STEPS = {"srcnn": 30, "vdsr": 8, "unet_plain": 40}
"""In an epoch; on an accelerator twenty times as many."""

SEEDS_WAY = "eager fp32 with PNG decoding, unet_plain (patches/s)"

LOOPS = ("raw", "trainer", "above raw")

WAYS = {
    "fp32": ["channels_last=false"],
    "fp32, channels_last": [],
    "bf16": ["channels_last=false", "trainer.precision=bf16-mixed"],
    "bf16, channels_last": ["trainer.precision=bf16-mixed"],
    "bf16, channels_last, compile": ["trainer.precision=bf16-mixed", "compile=true"],
}
TINY = ["model=srcnn", "model.widths=[3,3]", "model.kernels=[1,1,1]", "data.batch_size=4", "data.patch=32"]
"""A net that costs next to nothing, so that the trainer's own time shows."""


def main() -> None:
    """Measure everything in one run; write results.csv and facts.csv, and bring the README up to date."""
    factor, device, side = (20, "cuda", 8192) if torch.cuda.is_available() else (1, "cpu", 2048)
    jobs = [(net, way) for net in STEPS for way in WAYS]
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as name:
        folder = Path(name)
        results: dict[str, Any] = {
            "machine": torch.cuda.get_device_name() if torch.cuda.is_available() else machine(),
            "start-up (s)": statistics.median(startup(folder) for _ in range(3)),
            "tiny": trained(folder, [*TINY, "trainer.limit_train_batches=400"]),
            "bare Lightning above raw (s/step)": bare_lightning(),
            "matrix product (TFLOP/s)": {
                str(kind): matrix_rate(kind, device=device, side=side) for kind in (torch.float32, torch.bfloat16)
            },
            SEEDS_WAY: seeds_way(folder),
            "nets": {net: {} for net in STEPS},
        }
        for net, way in track(jobs, description="training"):
            steps = f"trainer.limit_train_batches={factor * STEPS[net]}"
            size = [f"data.patch={PATCH}", f"data.batch_size={BATCH}"]
            results["nets"][net][way] = trained(folder, [f"model={net}", *WAYS[way], *size, steps])
    write_rows(HERE / "results.csv", rows(results))
    write_facts(HERE / "facts.csv", facts(results | {"versions": versions()}))
    numbers.write(HERE / "README.md")


def trained(folder: Path, overrides: list[str]) -> dict[str, Any]:
    """What ``RawLoop`` found in a training of its own process: medians over epochs, the first one left out."""
    file = folder / "found.json"
    rival = ["+callbacks.rival._target_=experiments.training_speed.rivals.RawLoop", f"+callbacks.rival.file={file}"]
    command(folder, [*overrides, *rival, f"trainer.max_epochs={EPOCHS}", f"data.val_patch={PATCH}"])
    found = json.loads(file.read_text())
    raw, own = found["raw"][1:], found["trainer"][1:]
    return {
        "raw (s/step)": statistics.median(raw),
        "trainer (s/step)": statistics.median(own),
        "above raw (s/step)": statistics.median(ours - theirs for ours, theirs in zip(own, raw, strict=True)),
        "of raw": statistics.median(theirs / ours for ours, theirs in zip(own, raw, strict=True)),
        "wait": statistics.median(found["wait"][1:]),
        "flop": found["flop"],
        "patches": found["patches"],
    }


def bare_lightning() -> float:
    """Seconds per step that Lightning's ``barebones`` trainer takes above a raw loop, on the same tiny net."""
    steps, batch = 1000, (torch.rand(4, 3, 16, 16), torch.rand(4, 3, 32, 32))
    above = []
    for _ in range(4):
        raw = Bare(SRCNN(widths=[3, 3], kernels=[1, 1, 1]), batch)
        optimizer = raw.configure_optimizers()
        start = time.perf_counter()
        for number in range(steps):
            optimizer.zero_grad()
            raw.training_step(number, number).backward()
            optimizer.step()
        middle = time.perf_counter()
        trainer = Trainer(barebones=True, max_epochs=1, accelerator="cpu")
        trainer.fit(Bare(SRCNN(widths=[3, 3], kernels=[1, 1, 1]), batch), range(steps))
        above.append((time.perf_counter() - middle - (middle - start)) / steps)
    return statistics.median(above[1:])


def startup(folder: Path) -> float:
    """Seconds from the command to the end of its first step."""
    file = folder / "first"
    clock = ["+callbacks.clock._target_=experiments.training_speed.rivals.FirstStep", f"+callbacks.clock.file={file}"]
    start = time.time()
    command(folder, ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "data.val_patch=64", *clock])
    return float(file.read_text()) - start


def command(folder: Path, overrides: list[str]) -> None:
    """The user's own command, on one photograph in its test."""
    fixed = ["data.patches_per_image=100000", "+trainer.limit_test_batches=1", f"hydra.run.dir={folder}/run"]
    fixed.append("overwrite=true")
    arguments = [sys.executable, "-m", "zoomsr.train", "trainer=auto", "data=sample", *fixed, *overrides]
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)


def seeds_way(folder: Path) -> float:
    """Patches per second of the U-Net in eager fp32 where every patch is cut from two PNG files, decoded for it."""
    hr, lr = write_photographs(folder, None)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = UNet().to(device)
    optimizer, loss = torch.optim.Adam(net.parameters(), lr=1e-5), nn.L1Loss()
    stream = batches(WholePng(hr, lr, side=PATCH), batch_size=BATCH, workers=0)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        pixels = {key: to_float(value.to(device)) for key, value in next(stream).items()}
        optimizer.zero_grad()
        step = loss(net(pixels["lr"]), pixels["hr"])
        step.backward()
        optimizer.step()
        step.item()  # waits for the device
        times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times[1:])


def rows(results: dict[str, Any]) -> list[dict[str, Value]]:
    """Every net's ways, beside its first."""
    found: list[dict[str, Value]] = []
    for net, ways in results["nets"].items():
        first = next(iter(ways.values()))["trainer (s/step)"]
        for way, times in ways.items():
            seconds = times["trainer (s/step)"]
            best = results["matrix product (TFLOP/s)"][str(torch.bfloat16 if "bf16" in way else torch.float32)]
            speed = {"patches_per_s": times["patches"] / seconds, "times_fp32": first / seconds}
            shares = {
                "of_raw_loop": times["of raw"],
                "of_matrix_product": times["flop"] / seconds / best / 1e12,
                "waiting": times["wait"],
            }
            steps = {f"{name.replace(' ', '_')}_ms": 1e3 * times[f"{name} (s/step)"] for name in LOOPS}
            found.append({"net": net, "way": way, **speed, **shares, **steps, "flop_per_step": times["flop"]})
    unet = results["nets"]["unet_plain"]["fp32"]
    rate, first = results[SEEDS_WAY], unet["patches"] / unet["trainer (s/step)"]
    return [
        *found,
        {"net": "unet_plain, from PNG files", "way": "fp32", "patches_per_s": rate, "times_fp32": rate / first},
    ]


def facts(results: dict[str, Any]) -> dict[str, Value]:
    """What stands beside the table."""
    tiny, products = results["tiny"], results["matrix product (TFLOP/s)"]
    return {
        "machine": results["machine"],
        "patch": PATCH,
        "batch": BATCH,
        "start-up (s)": results["start-up (s)"],
        **{f"tiny net, {name} (ms/step)": 1e3 * tiny[f"{name} (s/step)"] for name in LOOPS},
        **{f"tiny net, {name}": tiny[name] for name in ("of raw", "wait", "flop", "patches")},
        "bare Lightning above raw (ms/step)": 1e3 * results["bare Lightning above raw (s/step)"],
        **{f"matrix product in {kind} (TFLOP/s)": rate for kind, rate in products.items()},
        **results["versions"],
    }


if __name__ == "__main__":
    typer.run(main)
