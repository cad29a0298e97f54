"""A photograph through what ``zoomsr.zoom`` runs, by each engine: with all instructions, and with AVX2 at most.

``python -m experiments.benchmarks.inference_speed.through_zoom`` writes through_zoom.csv. Seconds are of one core,
which a busy machine changes least.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from zoomsr.cli.malloc import give_back_early

if sys.argv[1:]:
    give_back_early()  # as the command does

import numpy as np
from PIL import Image

from experiments import tables
from experiments.benchmarks.inference_speed.one import PHOTOGRAPH
from experiments.report import Value, machine, write_rows
from zoomsr.data.sources.photographs import sample
from zoomsr.engines import installed
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.tiling import TILE
from zoomsr.inference.upscaler import Upscaler

HERE = Path(__file__).parent
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}  # OpenVINO hears the first
ROUNDS = 2


def main() -> None:
    """Measure in a process for each set of instructions; write the csv, and bring the README up to date."""
    rows: list[dict[str, Value]] = []
    for label, limit in (("all", {}), ("AVX2 at most", AVX2)):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **limit}
        command = [
            sys.executable,
            "-m",
            "experiments.benchmarks.inference_speed.through_zoom",
            "32" if limit else "auto",
        ]
        said = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        rows += [{"machine": machine(), "instructions": label, **row} for row in json.loads(said.splitlines()[-1])]
    write_rows(HERE / "through_zoom.csv", rows)
    tables.write(HERE / "README.md")


def measure(precision: str) -> list[dict[str, Value]]:
    """The U-Net of the box on a photograph, the engines by turns; each beside torch."""
    with Image.open(min(photo.path for photo in sample().val)) as opened:
        picture = opened.convert("RGB").resize(PHOTOGRAPH[::-1], Image.Resampling.LANCZOS)
    photo = Photograph(np.asarray(picture))
    ways = {
        name: Upscaler.open("unet", device="cpu", precision=precision, engine=name) for name in ("torch", *installed())
    }
    ways[f"torch, tiles of {TILE}"] = Upscaler.open(
        "unet", device="cpu", precision=precision, engine="torch", tile=TILE
    )
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    pixels = {}
    for upscaler in ways.values():
        upscaler.upscale(Photograph(photo.pixels[:64, :64]))  # opens its engine
    for number in range(ROUNDS):
        for name, upscaler in ways.items():
            print(f"round {number + 1} of {ROUNDS}: {name}", file=sys.stderr, flush=True)
            start = time.process_time()
            pixels[name] = upscaler.upscale(photo).pixels.astype(int)
            seconds[name].append(time.process_time() - start)
    first = min(seconds["torch"])
    return [
        {
            "engine": name,
            "precision": "bfloat16" if upscaler.bfloat16 and name != "onnx" else "float32",
            "cpu_s": min(seconds[name]),
            "times_torch": first / min(seconds[name]),
            "most_levels": int(np.abs(pixels[name] - pixels["torch"]).max()),
        }
        for name, upscaler in ways.items()
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
