"""What the benchmarks share: lines as they come, turns, time limits, processes that may fail, and csv files."""

from __future__ import annotations

import json
import math
import queue
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import torch

from experiments import tables
from experiments.report import Value, machine, write_facts, write_rows
from zoomsr.runs.run import versions

T = TypeVar("T")
Answer = dict[str, Any]

_START = time.monotonic()


def note(text: str) -> None:
    """A line with the seconds since the start of the command, on a terminal or in a log."""
    print(f"[{time.monotonic() - _START:4.0f} s] {text}", flush=True)


def each(items: Sequence[T], what: str, *, until_s: float = math.inf) -> Iterator[T]:
    """The items, with a line before each.

    Args:
        items: texts or tuples of them, which are shown; anything else is only counted.
        what: is done with them.
        until_s: after so many seconds of the command the rest is left out, with a line.
    """
    for number, item in enumerate(items, 1):
        if time.monotonic() - _START > until_s:
            note(f"{what}: {until_s:.0f} s are over, left out: {'; '.join(map(_shown, items[number - 1 :]))}")
            return
        note(f"{what} {number}/{len(items)}: {_shown(item)}".removesuffix(": "))
        yield item


def turns(
    rivals: Mapping[str, Callable[[], object]], *, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each call, after one that warms up; rivals alternate: a busy machine slows all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for call in rivals.values():
        call()
    for _ in each(range(rounds), "measuring, round"):
        for name, call in rivals.items():
            seconds[name].append(timed(call, clock))
    return seconds


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call."""
    start = clock()
    call()
    return clock() - start


def matrix_rate(kind: torch.dtype, *, device: str, side: int) -> float:
    """TFLOP/s of a product of two square matrices: where they are large, what the device can do at best."""
    matrix = torch.randn(side, side, device=device).to(kind)
    times = [timed(lambda: float((matrix @ matrix)[0, 0])) for _ in range(12)]  # float() waits for the device
    return 2 * side**3 / statistics.median(times[2:]) / 1e12


def answers(
    command: Sequence[str], jobs: Sequence[T], *, until_s: float = math.inf, longest: float = math.inf, **shared: Any
) -> Iterator[tuple[T, Answer]]:
    """Each job with its answer; ``{"error": ...}`` where it failed, took too long, or was not reached.

    A process does one after another. One that fails takes its process along, and the others go on in a new one.

    Args:
        command: of the process, which gets ``jobs`` and what they share as JSON, and prints an answer in each line.
        jobs: to do.
        until_s: seconds of this command after which it stops.
        longest: seconds that a job may take; the first of a process also starts it.
        shared: by all jobs.
    """
    waiting = list(jobs)
    while waiting and time.monotonic() - _START < until_s:
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            task = json.dumps({"jobs": waiting, **shared})
            process = subprocess.Popen([*command, task], stdout=subprocess.PIPE, stderr=log, text=True)
            try:
                for answer in _lines(process, until_s=until_s, longest=longest, log=log):
                    yield waiting.pop(0), answer
                    if "error" in answer or not waiting:
                        break
            finally:
                process.kill()
                process.wait()
    for job in waiting:
        yield job, {"error": "no time was left"}


def _lines(process: subprocess.Popen[str], *, until_s: float, longest: float, log: IO[str]) -> Iterator[Answer]:
    """Answers as they come; the last one is an error."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for text in process.stdout or ():
            lines.put(text)
        lines.put("")  # the process has ended

    threading.Thread(target=read, daemon=True).start()
    while True:
        left = until_s - (time.monotonic() - _START)
        try:
            text = lines.get(timeout=min(max(0.0, left), longest, threading.TIMEOUT_MAX))
        except queue.Empty:
            yield {"error": f"given up after {longest:.0f} s" if longest < left else "no time was left"}
            return
        if not text:
            log.seek(0)
            last = (log.read().strip().splitlines() or ["nothing was said"])[-1]
            yield {"error": f"its process ended with exit code {process.wait()}: {last[:200]}"}
            return
        yield json.loads(text)


def publish(folder: Path, facts: Mapping[str, Value], **rows: Sequence[Mapping[str, Value]]) -> None:
    """Write a csv for each of ``rows``, facts.csv with the machine and versions, and the README's tables."""
    for name, content in rows.items():
        write_rows(folder / f"{name}.csv", content)
    described = {"machine": machine(), **facts, **versions()}
    write_facts(folder / "facts.csv", {**described, **facts})
    tables.write(folder / "README.md")


def _shown(item: object) -> str:
    return ", ".join(item) if isinstance(item, tuple) else item if isinstance(item, str) else ""
