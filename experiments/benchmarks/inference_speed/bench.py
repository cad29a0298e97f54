"""A photograph through every engine, and the product's own figures beside them: ``make bench-zoom``."""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import typer
from PIL import Image

from experiments.benchmarks.harness import each, note, publish, turns
from experiments.benchmarks.inference_speed.one import FAST_BFLOAT16, HEIGHT, NETS, WAYS, WIDTH
from experiments.report import Value
from zoomsr.data.sources.photographs import sample
from zoomsr.imaging.png import write_png

HERE = Path(__file__).parent
LARGE = {"6 megapixels": (2000, 3000), "24 megapixels": (4000, 6000)}
UNTIL_S = 200
"""After so many seconds no further way, and no large photograph, is begun."""


def main() -> None:
    """Measure everything in one run; write results.csv, large.csv and facts.csv, and bring the README up to date."""
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as name:
        os.environ["ZOOMSR_CACHE"] = name  # graphs of random weights
        note("the command, and PNG files")
        facts: dict[str, Value] = {"width": WIDTH, "height": HEIGHT, **png(), **command(Path(name))}
        if not FAST_BFLOAT16:
            note("left out, because bf16 is not fast here: the ways in bf16")
        jobs = [(net, way) for net in NETS for way in WAYS]
        rows = [one(net, way, name) for net, way in each(jobs, "upscaling", until_s=UNTIL_S)]
        first = {row["net"]: row["ms"] for row in reversed(rows)}
        results = [{**row, "times_eager_fp32": first[row["net"]] / row["ms"]} for row in rows]
        large = [large_photograph(label, Path(name)) for label in each([*LARGE], "zoom", until_s=UNTIL_S)]
    publish(HERE, facts, results=results, large=large)


def one(net: str, way: str, folder: str) -> dict[str, Value]:
    """A row: one way, in a process of its own."""
    arguments = [sys.executable, "-m", "experiments.benchmarks.inference_speed.one", net, way, folder]
    said = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    found = json.loads(said.splitlines()[-1])
    return {"net": net, "engine": way, "ms": 1e3 * found["seconds"], "peak_mb": found["peak"] / 1e6}


def png() -> dict[str, Value]:
    """Time and size of our PNG over Pillow's, mean over the sample's validation photographs at 2040x1356."""
    times, sizes = [], []
    for photo in sample().val:
        with Image.open(photo.path) as opened:
            picture = opened.convert("RGB").resize((2040, 1356), Image.Resampling.LANCZOS)
        ours, theirs = (
            partial(encoded, write_png, np.asarray(picture)),
            partial(encoded, lambda file, picture: picture.save(file, "PNG"), picture),
        )
        seconds = turns({"ours": ours, "theirs": theirs}, rounds=5)
        times.append(statistics.median(seconds["ours"]) / statistics.median(seconds["theirs"]))
        sizes.append(len(ours()) / len(theirs()))
    return {"png, time over Pillow's": statistics.fmean(times), "png, size over Pillow's": statistics.fmean(sizes)}


def encoded(write: Callable[[io.BytesIO, Any], object], picture: Any) -> bytes:
    """The file."""
    file = io.BytesIO()
    write(file, picture)
    return file.getvalue()


def command(folder: Path) -> dict[str, Value]:
    """Seconds from start to file on a 256x256 crop, and of ``--help``."""
    photo = folder / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (678, 1020, 3), np.uint8)).save(photo)
    ways = {
        "zoom, 256x256 area (s)": [str(photo), "--box", "300,200,256,256", "--overwrite"],
        "zoom --help (s)": ["--help"],
    }
    return {name: min(zoomed(arguments)[0] for _ in range(3)) for name, arguments in ways.items()}


def large_photograph(label: str, folder: Path) -> dict[str, Value]:
    """A row: the command on a large photograph, its peak, and its peak above the 8-bit input and output."""
    (height, width), source = LARGE[label], folder / "large.png"
    with source.open("wb") as file:
        pixels = np.random.default_rng(0).integers(0, 256, (height, width // 50, 3), np.uint8)
        write_png(file, pixels.repeat(50, axis=1))
    seconds, peak = zoomed([str(source), "--overwrite"])
    above = peak - 5 * 3 * height * width
    return {"photograph": label, "seconds": seconds, "peak_gb": peak / 1e9, "above_pixels_gb": above / 1e9}


def zoomed(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak bytes of ``zoomsr.zoom``."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "zoomsr.zoom", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)  # its peak is at least what this process has
    if status:
        raise RuntimeError(f"zoomsr.zoom {' '.join(arguments)} failed")
    return time.perf_counter() - start, 1024.0 * usage.ru_maxrss


if __name__ == "__main__":
    typer.run(main)
