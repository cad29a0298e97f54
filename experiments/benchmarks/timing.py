"""How the benchmarks measure: alternately, in one process, the median of each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from rich.console import Console
from rich.table import Table

from experiments.progress import each


def medians(rivals: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Seconds per call of each rival; they take turns, so that a busy machine slows all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for call in rivals.values():
        call()  # warm caches
    for _ in each(range(rounds), "measuring, round"):
        for name, call in rivals.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def matrix_rate(kind: torch.dtype, *, device: str, side: int) -> float:
    """TFLOP/s of a product of two square matrices: where they are large, what the device can do at best."""
    matrix = torch.randn(side, side, device=device).to(kind)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # waits for the device
        times.append(time.perf_counter() - start)
    return 2 * side**3 / statistics.median(times[2:]) / 1e12


def show(title: str, seconds: Mapping[str, float]) -> None:
    """A table with the ratio to the first rival."""
    table = Table(title=title)
    for heading in ("", "ms", "times as long as the first"):
        table.add_column(heading, justify="right" if heading else "left")
    first = next(iter(seconds.values()))
    for name, value in seconds.items():
        table.add_row(name, f"{value * 1e3:.1f}", f"{value / first:.2f}")
    Console().print(table)
