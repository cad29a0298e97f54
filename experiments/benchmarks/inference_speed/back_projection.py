"""What back-projection costs: the default path beside ``--back-projection 0`` of the same net.

``make bench-faithful`` writes back_projection.csv. Seconds are of one core: a busy machine changes them least.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from zoomsr.cli.native import share_cores_and_memory

if __name__ == "__main__":
    share_cores_and_memory()  # as the command does

import numpy as np
import torch
from PIL import Image

from experiments import tables
from experiments.benchmarks.harness import each, turns
from experiments.report import Value, machine, write_rows
from zoomsr.data.sources.photographs import sample
from zoomsr.engines import TORCH, installed
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.models.back_projection import STEPS

HERE = Path(__file__).parent
WIDTH, HEIGHT = 288, 192
ROUNDS = 5


def main() -> None:
    """Measure the pretrained U-Nets by each engine; write the csv, and bring the README up to date."""
    torch.set_num_threads(1)
    with Image.open(min(photo.path for photo in sample().val)) as opened:
        pixels = np.asarray(opened.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))
    jobs = [(engine, f"x{scale}") for engine in (TORCH, *installed()[:1]) for scale in (2, 3, 4)]
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as cache:
        os.environ["ZOOMSR_CACHE"] = cache
        rows = [measure(Photograph(pixels), engine, int(scale[1:])) for engine, scale in each(jobs, "U-Net")]
    write_rows(HERE / "back_projection.csv", rows)
    tables.write(HERE / "README.md")


def measure(photo: Photograph, engine: str, scale: int) -> dict[str, Value]:
    """A row: medians of seconds with and without, by turns, and their ratio."""
    nets = {
        steps: Upscaler.open("unet", scale, NetOptions("cpu", engine=engine, back_projection=steps))
        for steps in (0, STEPS)
    }
    ways = {str(steps): lambda net=net: net.upscale(photo) for steps, net in nets.items()}
    seconds = turns(ways, rounds=ROUNDS, clock=time.process_time)
    without, default = (statistics.median(seconds[str(steps)]) for steps in nets)
    named = {"machine": machine(), "engine": engine, "precision": "bfloat16" if nets[0].bfloat16 else "float32"}
    return {**named, "scale": scale, "cpu_s": default, "cpu_s_without": without, "times_without": default / without}


if __name__ == "__main__":
    main()
