"""A photograph through every engine, and the product's own figures beside them: ``make bench-zoom``."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import typer
from PIL import Image

from experiments import tables
from experiments.benchmarks.inference_speed.one import FAST_BFLOAT16, HEIGHT, NETS, PHOTOGRAPH, WAYS, WIDTH
from experiments.benchmarks.timing import medians
from experiments.progress import each, note
from experiments.report import Value, machine, write_facts, write_rows
from zoomsr.data.sources.photographs import sample
from zoomsr.imaging.png import write_png
from zoomsr.runs.run import versions

HERE = Path(__file__).parent
LARGE = {"6 megapixels": (2000, 3000), "24 megapixels": (4000, 6000)}
UNTIL_S = 200
"""After so many seconds no further way, and no large photograph, is begun."""


def main() -> None:
    """Measure everything in one run; write results.csv, large.csv and facts.csv, and bring the README up to date."""
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as name:
        folder = Path(name)
        os.environ["ZOOMSR_CACHE"] = name  # graphs of random weights
        note("the command, and PNG files")
        results: dict[str, Any] = {"machine": machine(), "png": png(), "command": command(folder)}
        jobs = [(net, way) for net in NETS for way in WAYS]
        nets = results["nets"] = {net: {} for net in NETS}
        if not FAST_BFLOAT16:
            note("left out, because bf16 is not fast here: the ways in bf16")
        for net, way in each(jobs, "enlarging", until_s=UNTIL_S):
            nets[net][way] = one(net, way, folder)
        results["large"] = {label: large(folder, *LARGE[label]) for label in each([*LARGE], "zoom", until_s=UNTIL_S)}
    write_rows(HERE / "results.csv", rows(results["nets"]))
    write_rows(HERE / "large.csv", large_rows(results["large"]))
    write_facts(HERE / "facts.csv", facts(results | {"versions": versions()}))
    tables.write(HERE / "README.md")


def one(net: str, way: str, folder: Path) -> dict[str, float]:
    """Seconds and peak bytes of one way, in a process of its own."""
    arguments = [sys.executable, "-m", "experiments.benchmarks.inference_speed.one", net, way, str(folder)]
    said = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def png() -> dict[str, float]:
    """Time and size of our PNG over Pillow's, mean over the sample's held-out photographs at 2040x1356."""
    times, sizes = [], []
    for photo in sample().val:
        with Image.open(photo.path) as opened:
            picture = opened.convert("RGB").resize((2040, 1356), Image.Resampling.LANCZOS)
        pixels, ours, theirs = np.asarray(picture), io.BytesIO(), io.BytesIO()
        rivals = {
            "ours": lambda pixels=pixels: write_png(io.BytesIO(), pixels),
            "theirs": lambda picture=picture: picture.save(io.BytesIO(), "PNG"),
        }
        seconds = medians(rivals, rounds=5)
        write_png(ours, pixels)
        picture.save(theirs, "PNG")
        times.append(seconds["ours"] / seconds["theirs"])
        sizes.append(len(ours.getvalue()) / len(theirs.getvalue()))
    return {"time": sum(times) / len(times), "size": sum(sizes) / len(sizes)}


def command(folder: Path) -> dict[str, float]:
    """Seconds from start to file on a 256x256 area, and of ``--help``."""
    photo = folder / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*PHOTOGRAPH, 3), np.uint8)).save(photo)
    zoom = [str(photo), "--box", "300,200,256,256", "--overwrite"]
    return {"box": min(timed(zoom)[0] for _ in range(3)), "help": min(timed(["--help"])[0] for _ in range(3))}


def large(folder: Path, height: int, width: int) -> dict[str, float]:
    """Peak bytes of the command on a large photograph, and the bytes of its 8-bit input and output."""
    source = folder / "large.png"
    rows = np.random.default_rng(0).integers(0, 256, (height, width // 50, 3), np.uint8).repeat(50, axis=1)
    with source.open("wb") as file:
        write_png(file, rows)
    seconds, peak = timed([str(source), "--overwrite"])
    return {"seconds": seconds, "peak": peak, "pixels in and out": 5 * 3 * height * width}


def timed(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak bytes of ``zoomsr.zoom``."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "zoomsr.zoom", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)  # its peak is at least what this process has
    if status:
        raise RuntimeError(f"zoomsr.zoom {' '.join(arguments)} failed")
    return time.perf_counter() - start, 1024.0 * usage.ru_maxrss


def rows(nets: dict[str, dict[str, Any]]) -> list[dict[str, Value]]:
    """Every net's engines, beside the first."""
    found: list[dict[str, Value]] = []
    for net, ways in nets.items():
        first = next((one_way["seconds"] for one_way in ways.values()), 0.0)
        for way, one_way in ways.items():
            times = {"ms": 1e3 * one_way["seconds"], "times_eager_fp32": first / one_way["seconds"]}
            found.append({"net": net, "engine": way, **times, "peak_mb": one_way["peak"] / 1e6})
    return found


def large_rows(pictures: dict[str, dict[str, float]]) -> list[dict[str, Value]]:
    """The command on large photographs."""
    return [
        {
            "photograph": label,
            "seconds": found["seconds"],
            "peak_gb": found["peak"] / 1e9,
            "above_pixels_gb": (found["peak"] - found["pixels in and out"]) / 1e9,
        }
        for label, found in pictures.items()
    ]


def facts(results: dict[str, Any]) -> dict[str, Value]:
    """What stands beside the tables."""
    return {
        "machine": results["machine"],
        "width": WIDTH,
        "height": HEIGHT,
        "png, time over Pillow's": results["png"]["time"],
        "png, size over Pillow's": results["png"]["size"],
        "zoom, 256x256 area (s)": results["command"]["box"],
        "zoom --help (s)": results["command"]["help"],
        **results["versions"],
    }


if __name__ == "__main__":
    typer.run(main)
