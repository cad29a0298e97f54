"""Patches per second of the trainer beside a raw PyTorch loop: ``make bench-train``."""

from __future__ import annotations

import logging
import math
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import torch
import typer
from lightning.pytorch import Trainer
from torch import nn

from experiments.benchmarks.harness import Answer, answers, each, note, publish, timed
from experiments.benchmarks.jobs import COMMAND, Job, Sizes, training_rows
from experiments.benchmarks.loading.bench import write_photographs
from experiments.benchmarks.loading.rivals import WholePng, batches
from experiments.benchmarks.turns import Bare
from experiments.report import Value, machine
from zoomsr.hardware.devices import has_fast_bfloat16, training_device
from zoomsr.imaging.pixels import to_float
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.unet import UNet

HERE = Path(__file__).parent
PATCH, BATCH = 64, 8
NETS = ("srcnn", "vdsr", "unet_plain")
ON_CPU = ["fp32", "fp32, channels_last", "bf16", "bf16, channels_last", "bf16, channels_last, compile"]
"""Ways to train. The first is measured in any case; of the others a way of all nets comes before the next way."""
WAY_S, UNTIL_S, STUCK_S = 8, 280, 90
"""Seconds that a way is timed for, after which the command leaves the rest out, after which a way is given up."""


def main() -> None:
    """Measure everything in one run; write results.csv and facts.csv, and bring the README up to date."""
    has_bf16 = has_fast_bfloat16(training_device("auto"))
    ways = [way for way in ON_CPU if has_bf16 or "bf16" not in way]
    if len(ways) < len(ON_CPU):
        note(f"left out, because bf16 is not fast here: {'; '.join(ON_CPU[len(ways) :])}")
    about: Job = ("device", "", "fp32 bf16" if has_bf16 else "fp32")
    first, *others = ([("train", net, way) for net in NETS] for way in ways)
    found = measured([about, ("train", "tiny", "fp32"), *first])
    if errors := [answer["error"] for answer in found.values() if "error" in answer]:
        raise SystemExit(f"error: {errors[0]}")
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as name:
        extra = overheads(Path(name))
    rest = measured(list(chain(*others)), until_s=UNTIL_S, longest=STUCK_S)
    write(HERE, {**found, **{job: answer for job, answer in rest.items() if "error" not in answer}}, extra)


def measured(jobs: list[Job], *, until_s: float = math.inf, longest: float = math.inf) -> dict[Job, Answer]:
    """Each job's answer, with a line as it comes."""
    on_cuda = torch.cuda.is_available()
    sizes = Sizes("cuda" if on_cuda else "cpu", PATCH, BATCH, WAY_S, height=0, width=0, side=8192 if on_cuda else 2048)
    found = {}
    for job, answer in answers(COMMAND, jobs, until_s=until_s, longest=longest, sizes=asdict(sizes)):
        found[job] = answer
        note(f"{', '.join(filter(None, job))}: {'left out, ' + answer['error'] if 'error' in answer else 'measured'}")
    return found


def overheads(folder: Path) -> dict[str, float]:
    """What does not depend on the net: the start, bare Lightning's time in a step, patches decoded from PNG files."""
    starts = [startup(folder) for _ in each(range(3), "start-up")]
    note("a tiny net by bare Lightning; patches decoded from PNG files")
    return {"start-up (s)": statistics.median(starts), "bare": bare_lightning(), "png": from_png_files(folder)}


def startup(folder: Path) -> float:
    """Seconds from the user's command to the end of its first step, which ends it."""
    file, clock = folder / "first", "+callbacks.clock"
    settings = ["data=sample", "trainer.max_epochs=1", "trainer.limit_train_batches=2", "data.val_patch=64"]
    settings += [f"{clock}._target_=experiments.benchmarks.turns.FirstStep", f"{clock}.file={file}"]
    start = time.time()
    command = [sys.executable, "-m", "zoomsr.train", *settings, f"hydra.run.dir={folder}/run", "overwrite=true"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return float(file.read_text()) - start


def bare_lightning() -> float:
    """Seconds per step that Lightning's ``barebones`` trainer takes above a raw loop, on the same tiny net."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # a page for each trainer
    steps, batch, above = 1000, (torch.rand(4, 3, 16, 16), torch.rand(4, 3, 32, 32)), []
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


def from_png_files(folder: Path) -> float:
    """Patches per second of the U-Net in eager fp32 where every patch is cut from two PNG files, decoded for it."""
    hr, lr = write_photographs(folder, None)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net, loss = UNet().to(device), nn.L1Loss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-5)
    stream = batches(WholePng(hr, lr, side=PATCH), batch_size=BATCH, workers=0)

    def step() -> None:
        pixels = {key: to_float(value.to(device)) for key, value in next(stream).items()}
        optimizer.zero_grad()
        error = loss(net(pixels["lr"]), pixels["hr"])
        error.backward()
        optimizer.step()
        error.item()  # waits for the device

    step()
    return BATCH / statistics.median(timed(step) for _ in range(5))


def write(folder: Path, found: dict[Job, Answer], extra: dict[str, float]) -> None:
    """The csv files, and the README; the first answer is the device's."""
    about = next(iter(found.values()))
    tiny, *rows = training_rows(found, about["best"])
    unet = next(row["patches_per_s"] for row in rows if row["net"] == "unet_plain")
    png: dict[str, Value] = {"net": "unet_plain, from PNG files", "way": "fp32", "patches_per_s": extra["png"]}
    facts: dict[str, Value] = {
        "machine": about["name"] or machine(),
        "patch": PATCH,
        "batch": BATCH,
        "start-up (s)": extra["start-up (s)"],
        "tiny net, raw (ms/step)": tiny["raw_ms"],
        "tiny net, trainer (ms/step)": tiny["trainer_ms"],
        "tiny net, above raw (ms/step)": tiny["above_raw_ms"],
        "bare Lightning above raw (ms/step)": 1e3 * extra["bare"],
        **{f"matrix product in {kind} (TFLOP/s)": rate for kind, rate in about["best"].items()},
    }
    publish(
        folder,
        facts,
        results=[*sorted(rows, key=lambda row: NETS.index(row["net"])), {**png, "times_fp32": extra["png"] / unet}],
    )


if __name__ == "__main__":
    typer.run(main)
