"""What a GPU makes of the trainer and of ``zoom``: ``make bench-gpu``."""

from __future__ import annotations

import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from experiments import tables
from experiments.benchmarks.gpu_speed.ways import PRECISIONS, WAYS, Sizes
from experiments.report import Value, machine, write_facts, write_rows
from zoomsr.cli.errors import DEBUG_VARIABLE, one_line_errors
from zoomsr.hardware.devices import device_named
from zoomsr.runs.files import write_text

HERE = Path(__file__).parent
README = HERE / "README.md"
NETS = ("unet", "vdsr", "srcnn")

Job = tuple[str, str, str]
"""What (device, train or zoom), which net, which way."""


def main(
    device: Annotated[str, typer.Option(help="cuda; cpu tries the benchmark itself, at small sizes")] = "cuda",
    out: Annotated[Path, typer.Option(help="folder for the csv files and the README that shows them")] = HERE,
    seconds: Annotated[float, typer.Option(help="after which it ends, whatever is missing then")] = 230,
    longest: Annotated[float, typer.Option(help="seconds after which one way is given up")] = 90,
    timed: Annotated[float, typer.Option(help="seconds that each training is timed for")] = 2,
    net: Annotated[list[str] | None, typer.Option(help="may be repeated")] = None,
    way: Annotated[list[str] | None, typer.Option(help="to train; may be repeated")] = None,
    patch: int = 96,
    batch: int = 32,
    height: Annotated[int, typer.Option(help="of the photograph that is enlarged")] = 4000,
    width: int = 6000,
    side: Annotated[int, typer.Option(help="of the matrices whose product is the device's best")] = 8192,
) -> None:
    """Measure; write results.csv, zoom.csv, facts.csv, and the README with their tables."""
    with one_line_errors():
        device_named(device)
        start = time.monotonic()
        sizes = Sizes(device, patch, batch, timed, height, width, side)
        jobs = planned(net or NETS, way or list(WAYS))
        command = [sys.executable, "-m", "experiments.benchmarks.gpu_speed.ways"]
        found: dict[Job, dict[str, Any]] = {}
        for job, answer in carried_out(command, jobs, sizes, until=start + seconds, longest=longest):
            found[job] = answer
            print(f"[{time.monotonic() - start:3.0f} s] {line(job, answer)}", flush=True)
        out.mkdir(parents=True, exist_ok=True)
        write(out, found, sizes)
        print(f"[{time.monotonic() - start:3.0f} s] {out / README.name}", *verdicts(found), sep="\n", flush=True)


def planned(nets: Sequence[str], ways: Sequence[str]) -> list[Job]:
    """In the order of what matters most, for time may run out; the first net also enlarges the photograph."""
    jobs: list[Job] = [("device", "", "")]
    for net in nets:
        jobs += [("train", net, way) for way in ways]
        jobs += [("zoom", net, precision) for precision in PRECISIONS if net == nets[0]]
    return jobs


def carried_out(
    command: Sequence[str], jobs: Sequence[Job], sizes: Sizes, *, until: float, longest: float
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Each job with its answer; ``{"error": ...}`` where it failed, took too long, or was not reached.

    A process does one after another. One that fails takes its process along, and the others go on in a new one.

    Args:
        command: of the process, which gets the jobs and sizes as JSON, and says an answer in each line.
        jobs: to do.
        sizes: of all of them.
        until: when to stop, on the clock of ``time.monotonic``.
        longest: seconds that a job may take; the first of a process also starts it.
    """
    waiting = list(jobs)
    while waiting and time.monotonic() < until:
        task = json.dumps({"jobs": waiting, "sizes": asdict(sizes)})
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            process = subprocess.Popen(
                [*command, task],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, DEBUG_VARIABLE: "1"},  # the trainer's errors as they are
            )
            try:
                for answer in _answers(process, until=until, longest=longest, log=log):
                    yield waiting.pop(0), answer
                    if "error" in answer or not waiting:
                        break
            finally:
                process.kill()
                process.wait()
    for job in waiting:
        yield job, {"error": "no time was left"}


def _answers(process: subprocess.Popen[str], *, until: float, longest: float, log: IO[str]) -> Iterator[dict[str, Any]]:
    """As they come; the last one is an error."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for text in process.stdout:
            lines.put(text)
        lines.put("")  # the process has ended

    threading.Thread(target=read, daemon=True).start()
    while True:
        most = min(longest, until - time.monotonic())
        try:
            text = lines.get(timeout=max(0.0, most))
        except queue.Empty:
            yield {"error": f"given up after {longest:.0f} s" if most == longest else "no time was left"}
            return
        if not text:
            log.seek(0)
            last = (log.read().strip().splitlines() or ["nothing was said"])[-1]
            yield {"error": f"its process ended with exit code {process.wait()}: {last[:200]}"}
            return
        yield json.loads(text)


def line(job: Job, answer: Mapping[str, Any]) -> str:
    """What a person reads while it goes on."""
    label = " ".join(part for part in job if part)
    if "error" in answer:
        return f"{label}: {answer['error']}"
    if job[0] == "train":
        return f"{label}: {answer['patches'] / statistics.median(answer['trainer']):,.0f} patches/s"
    if job[0] == "zoom":
        return f"{label}: {answer['seconds']:.2f} s"
    return f"{answer['name'] or machine()}, matrix products at " + ", ".join(
        f"{rate:.3g} TFLOP/s in {kind}" for kind, rate in answer["best"].items()
    )


def verdicts(found: Mapping[Job, dict[str, Any]]) -> list[str]:
    """The fastest way of each net beside what it should reach."""
    rows = [row for row in training_rows(found, found["device", "", ""]["best"]) if not row["note"]]
    said = []
    for net in dict.fromkeys(row["net"] for row in rows):
        best = max((row for row in rows if row["net"] == net), key=lambda row: row["patches_per_s"])
        times = f"{best['times_fp32']:.2f} times fp32 (4)" if best["times_fp32"] else "fp32 is missing"
        raw, waiting = f"{best['of_raw_loop']:.2f} of the raw loop (0.9)", f"{best['waiting']:.1%} waiting (1%)"
        said.append(f"{net}, {best['way']}: {times}, {raw}, {waiting}")
    return said


def write(out: Path, found: Mapping[Job, dict[str, Any]], sizes: Sizes) -> None:
    """The csv files, and the README with their tables.

    Raises:
        ValueError: nothing is known of the device.
    """
    about = found["device", "", ""]
    if "error" in about:
        raise ValueError(f"nothing was measured: {about['error']}")
    on = {"gpu": about["name"] or "none", "torch": about["versions"]["torch"]}
    write_rows(out / "results.csv", [{**row, **on} for row in training_rows(found, about["best"])])
    write_rows(out / "zoom.csv", [{**row, **on} for row in zoom_rows(found, sizes)])
    best = {f"matrix product in {kind} (TFLOP/s)": rate for kind, rate in about["best"].items()}
    facts = {"gpu": on["gpu"], "machine": machine(), **asdict(sizes), **best, **about["versions"]}
    write_facts(out / "facts.csv", facts)
    write_text(out / README.name, README.read_text(encoding="utf-8"))
    tables.write(out / README.name)


def training_rows(found: Mapping[Job, dict[str, Any]], best: Mapping[str, float]) -> list[dict[str, Value]]:
    """Every net's ways, beside its first; of one that failed only why."""
    rows: list[dict[str, Value]] = []
    for (what, net, way), answer in found.items():
        if what != "train":
            continue
        if "error" in answer:
            rows.append({"net": net, "way": way, "note": answer["error"]})
            continue
        seconds, raw = statistics.median(answer["trainer"]), statistics.median(answer["raw"])
        first = found.get(("train", net, next(iter(WAYS))), {}).get("trainer")
        rates = best[way.split(",")[0]]
        rows.append(
            {
                "net": net,
                "way": way,
                "patches_per_s": answer["patches"] / seconds,
                "times_fp32": statistics.median(first) / seconds if first else None,
                "of_raw_loop": statistics.median(
                    theirs / ours for ours, theirs in zip(answer["trainer"], answer["raw"], strict=True)
                ),
                "of_matrix_product": answer["flop"] / seconds / rates / 1e12,
                "waiting": statistics.median(answer["waiting"]),
                "no_kernel": answer.get("no kernel"),
                "kernels_per_step": answer.get("kernels"),
                "peak_gb": _gb(answer["peak"]),
                "step_ms": 1e3 * seconds,
                "raw_step_ms": 1e3 * raw,
                "flop_per_step": float(answer["flop"]),
                "note": None,
            }
        )
    return rows


def zoom_rows(found: Mapping[Job, dict[str, Any]], sizes: Sizes) -> list[dict[str, Value]]:
    """A photograph in each precision, beside the first."""
    rows: list[dict[str, Value]] = []
    for (what, net, precision), answer in found.items():
        if what != "zoom":
            continue
        photograph: dict[str, Value] = {"net": net, "precision": precision, "lr": f"{sizes.width}x{sizes.height}"}
        if "error" in answer:
            rows.append({**photograph, "note": answer["error"]})
            continue
        seconds, first = answer["seconds"], found.get(("zoom", net, next(iter(PRECISIONS))), {}).get("seconds")
        speed = {"seconds": seconds, "times_fp32": first / seconds if first else None}
        speed["megapixels_per_s"] = sizes.height * sizes.width / 1e6 / seconds
        rows.append({**photograph, **speed, "peak_gb": _gb(answer["peak"]), "note": None})
    return rows


def _gb(n_bytes: int | None) -> float | None:
    return None if n_bytes is None else n_bytes / 1e9


if __name__ == "__main__":
    typer.run(main)
