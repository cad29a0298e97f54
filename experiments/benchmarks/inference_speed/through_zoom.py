"""A photograph through what ``zoomsr.zoom`` runs, by each engine: with all instructions, and with AVX2 at most.

``python -m experiments.benchmarks.inference_speed.through_zoom`` writes through_zoom.csv. Seconds are of one core: a
busy machine changes them least.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from zoomsr.cli.native import share_cores_and_memory

if sys.argv[1:]:
    share_cores_and_memory()  # as the command does

import numpy as np
from PIL import Image

from experiments import tables
from experiments.benchmarks.harness import turns
from experiments.report import Value, machine, write_rows
from zoomsr.data.sources.photographs import sample
from zoomsr.engines import installed
from zoomsr.engines.tiling import TILE
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.upscaler import NetOptions, Upscaler

HERE = Path(__file__).parent
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}  # OpenVINO hears the first


def main() -> None:
    """Measure in a process for each set of instructions; write the csv, and bring the README up to date."""
    rows: list[dict[str, Value]] = []
    for label, precision, limit in (("all", "auto", {}), ("AVX2 at most", "32", AVX2)):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **limit}
        command = [sys.executable, "-m", "experiments.benchmarks.inference_speed.through_zoom", precision]
        said = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        rows += [{"machine": machine(), "instructions": label, **row} for row in json.loads(said.splitlines()[-1])]
    write_rows(HERE / "through_zoom.csv", rows)
    tables.write(HERE / "README.md")


def measure(precision: str) -> list[dict[str, Value]]:
    """The pretrained U-Net on a photograph, the engines by turns; each beside torch."""
    with Image.open(min(photo.path for photo in sample().val)) as opened:
        photo = Photograph(np.asarray(opened.convert("RGB").resize((1020, 678), Image.Resampling.LANCZOS)))
    engines = {name: NetOptions("cpu", precision, engine=name) for name in ("torch", *installed())}
    engines[f"torch, tiles of {TILE}"] = NetOptions("cpu", precision, TILE, engine="torch")
    upscalers = {name: Upscaler.open("unet", how=how) for name, how in engines.items()}
    pixels: dict[str, np.ndarray] = {}

    def upscale(name: str) -> None:
        pixels[name] = upscalers[name].upscale(photo).pixels.astype(int)

    ways = {name: lambda name=name: upscale(name) for name in upscalers}
    seconds = {name: min(values) for name, values in turns(ways, rounds=2, clock=time.process_time).items()}
    return [
        {
            "engine": name,
            "precision": "bfloat16" if upscaler.bfloat16 and name != "onnx" else "float32",
            "cpu_s": seconds[name],
            "times_torch": seconds["torch"] / seconds[name],
            "most_levels": int(np.abs(pixels[name] - pixels["torch"]).max()),
        }
        for name, upscaler in upscalers.items()
    ]


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1]))) if sys.argv[1:] else main()
