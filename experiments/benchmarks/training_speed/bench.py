"""Images per second of the trainer beside a raw PyTorch loop: ``make bench-train``."""

from __future__ import annotations

import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import typer
from lightning.pytorch import Trainer
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from experiments import tables
from experiments.benchmarks.loading.bench import write_photographs
from experiments.benchmarks.loading.rivals import WholePng, batches
from experiments.benchmarks.timing import matrix_rate
from experiments.benchmarks.training_speed.rivals import Bare
from experiments.progress import each, note
from experiments.report import Value, machine, write_facts, write_rows
from zoomsr.hardware.devices import has_fast_bfloat16, training_device
from zoomsr.imaging.pixels import to_float
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.unet import UNet
from zoomsr.models.vdsr import VDSR
from zoomsr.runs.run import versions

HERE = Path(__file__).parent
PATCH, BATCH, EPOCHS = 64, 8, 5

NETS: dict[str, Callable[[], nn.Module]] = {"srcnn": SRCNN, "vdsr": VDSR, "unet_plain": UNet}

WAY_S, MAX_STEPS = 10, 1000
"""Seconds that the steps of one way may take, raw loop and trainer together, and steps of an epoch."""
UNTIL_S, STUCK_S = 200, 90
"""After so many seconds of the command no further way begins; one that takes so long by itself is given up."""

SEEDS_WAY = "eager fp32 with PNG decoding, unet_plain (patches/s)"

LOOPS = ("raw", "trainer", "above raw")

WAYS = {
    "fp32": ["channels_last=false"],
    "fp32, channels_last": [],
    "bf16": ["channels_last=false", "trainer.precision=bf16-mixed"],
    "bf16, channels_last": ["trainer.precision=bf16-mixed"],
    "bf16, channels_last, compile": ["trainer.precision=bf16-mixed", "compile=true"],
}
"""The first is measured in any case; of the others a way of all nets comes before the next way."""
TINY = ["model=srcnn", "model.widths=[3,3]", "model.kernels=[1,1,1]", "data.batch_size=4", "data.patch=32"]
"""A net that costs next to nothing, so that the trainer's own time shows."""


def main() -> None:
    """Measure everything in one run; write results.csv and facts.csv, and bring the README up to date."""
    has_bf16 = has_fast_bfloat16(training_device("auto"))
    ways = [way for way in WAYS if has_bf16 or "bf16" not in way]
    if left_out := [way for way in WAYS if way not in ways]:
        note(f"left out, because bf16 is not fast here: {'; '.join(left_out)}")
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as name:
        results = overheads(Path(name))
        kinds = (torch.float32, torch.bfloat16) if has_bf16 else (torch.float32,)
        device, side = ("cuda", 8192) if torch.cuda.is_available() else ("cpu", 2048)
        rates = {str(kind): matrix_rate(kind, device=device, side=side) for kind in kinds}
        results["matrix product (TFLOP/s)"] = rates
        results["nets"] = {net: {} for net in NETS}
        first, *others = ([(way, net) for net in NETS] for way in ways)
        parts = each(first, "training"), each(list(chain(*others)), "training otherwise", until_s=UNTIL_S)
        for way, net in chain(*parts):
            n_steps = steps_of(NETS[net](), rate=rates[str(torch.float32)])
            size = [f"data.patch={PATCH}", f"data.batch_size={BATCH}", f"trainer.limit_train_batches={n_steps}"]
            limit = None if way == ways[0] else STUCK_S
            try:
                results["nets"][net][way] = trained(Path(name), [f"model={net}", *WAYS[way], *size], limit_s=limit)
            except subprocess.TimeoutExpired:
                note(f"left out, because it took more than {STUCK_S} s: {net}, {way}")
    write_rows(HERE / "results.csv", rows(results))
    write_facts(HERE / "facts.csv", facts(results | {"versions": versions()}))
    tables.write(HERE / "README.md")


def overheads(folder: Path) -> dict[str, Any]:
    """What does not depend on the net: the start, the trainer's own time in a step, patches decoded from PNG files."""
    results: dict[str, Any] = {"machine": torch.cuda.get_device_name() if torch.cuda.is_available() else machine()}
    results["start-up (s)"] = statistics.median(startup(folder) for _ in each(range(3), "start-up"))
    note("a tiny net")
    results["tiny"] = trained(folder, [*TINY, "trainer.limit_train_batches=400"])
    note("a tiny net by bare Lightning")
    results["bare Lightning above raw (s/step)"] = bare_lightning()
    note("patches decoded from PNG files")
    results[SEEDS_WAY] = seeds_way(folder)
    return results


def steps_of(net: nn.Module, *, rate: float) -> int:
    """Of an epoch, so that all epochs and the raw loop's take about ``WAY_S`` at half the rate of a matrix product."""
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 3, PATCH // 2, PATCH // 2)).sum().backward()
    seconds = BATCH * counter.get_total_flops() / (rate * 1e12 / 2)
    return max(2, min(MAX_STEPS, int(WAY_S / seconds / (2 * EPOCHS + 1))))  # the raw loop warms up for an epoch


def trained(folder: Path, overrides: list[str], *, limit_s: float | None = None) -> dict[str, Any]:
    """What ``RawLoop`` found in a training of its own process: medians over epochs, the first one left out."""
    file = folder / "found.json"
    rival = [
        "+callbacks.rival._target_=experiments.benchmarks.training_speed.rivals.RawLoop",
        f"+callbacks.rival.file={file}",
    ]
    arguments = [*overrides, *rival, f"trainer.max_epochs={EPOCHS}", f"data.val_patch={PATCH}"]
    command(folder, arguments, limit_s=limit_s)
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
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # a page for each trainer
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
    clock = [
        "+callbacks.clock._target_=experiments.benchmarks.training_speed.rivals.FirstStep",
        f"+callbacks.clock.file={file}",
    ]
    start = time.time()
    command(folder, ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "data.val_patch=64", *clock])
    return float(file.read_text()) - start


def command(folder: Path, overrides: list[str], *, limit_s: float | None = None) -> None:
    """The user's own command; its callbacks here end it after the training."""
    fixed = ["data.patches_per_image=100000", f"hydra.run.dir={folder}/run", "overwrite=true"]
    arguments = [sys.executable, "-m", "zoomsr.train", "trainer=auto", "data=sample", *fixed, *overrides]
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, timeout=limit_s)


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
        first = ways["fp32"]["trainer (s/step)"]
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
