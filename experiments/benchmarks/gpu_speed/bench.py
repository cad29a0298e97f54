"""What a GPU makes of the trainer and of ``zoom``: ``make bench-gpu``."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from experiments.benchmarks.harness import Answer, answers, note, publish
from experiments.benchmarks.jobs import COMMAND, PRECISIONS, WAYS, Job, Sizes, training_rows, zoom_rows
from experiments.report import Value, machine
from zoomsr.cli.errors import one_line_errors
from zoomsr.hardware.devices import device_named

HERE = Path(__file__).parent
NETS = ("unet", "vdsr", "srcnn")
DEVICE: Job = ("device", "", "fp32 TF32 bf16")
ON_GPU = [way for way in WAYS if way != "fp32, channels_last"]


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
    height: Annotated[int, typer.Option(help="of the photograph that is upscaled")] = 4000,
    width: int = 6000,
    side: Annotated[int, typer.Option(help="of the matrices whose product is the device's best")] = 8192,
) -> None:
    """Measure; write results.csv, zoom.csv, facts.csv, and the README with their tables."""
    with one_line_errors():
        device_named(device)
        sizes = Sizes(device, patch, batch, timed, height, width, side)
        jobs = planned(net or NETS, way or ON_GPU)
        found: dict[Job, Answer] = {}
        for job, answer in answers(COMMAND, jobs, until_s=seconds, longest=longest, sizes=asdict(sizes)):
            found[job] = answer
            note(line(job, answer))
        write(out, found, sizes)
        note(str(out / "README.md"))
        print(*verdicts(found), sep="\n", flush=True)


def planned(nets: Sequence[str], ways: Sequence[str]) -> list[Job]:
    """In the order of what matters most, for time may run out; the first net also upscales the photograph."""
    jobs = [DEVICE]
    for net in nets:
        jobs += [("train", net, way) for way in ways]
        jobs += [("zoom", net, precision) for precision in PRECISIONS if net == nets[0]]
    return jobs


def line(job: Job, answer: Answer) -> str:
    """What a person reads while it goes on."""
    what, net, way = job
    if "error" in answer:
        return f"{' '.join(job).strip()}: {answer['error']}"
    if what == "train":
        return f"train {net} {way}: {answer['patches'] / statistics.median(answer['trainer']):,.0f} patches/s"
    if what == "zoom":
        return f"zoom {net} {way}: {answer['seconds']:.2f} s"
    rates = ", ".join(f"{rate:.3g} TFLOP/s in {kind}" for kind, rate in answer["best"].items())
    return f"{answer['name'] or machine()}, matrix products at {rates}"


def verdicts(found: Mapping[Job, Answer]) -> list[str]:
    """The fastest way of each net beside what it should reach."""
    rows = [row for row in training_rows(found, found[DEVICE]["best"]) if not row.get("note")]
    said = []
    for net in dict.fromkeys(row["net"] for row in rows):
        best = max((row for row in rows if row["net"] == net), key=lambda row: row["patches_per_s"])
        times = f"{best['times_fp32']:.2f} times fp32 (4)" if best["times_fp32"] else "fp32 is missing"
        raw, waiting = f"{best['of_raw_loop']:.2f} of the raw loop (0.9)", f"{best['waiting']:.1%} waiting (1%)"
        said.append(f"{net}, {best['way']}: {times}, {raw}, {waiting}")
    return said


def write(out: Path, found: Mapping[Job, Answer], sizes: Sizes) -> None:
    """The csv files, and the README with their tables.

    Raises:
        ValueError: nothing is known of the device.
    """
    about = found[DEVICE]
    if "error" in about:
        raise ValueError(f"nothing was measured: {about['error']}")
    out.mkdir(parents=True, exist_ok=True)
    if out.resolve() != HERE:
        shutil.copy(HERE / "README.md", out)
    on: dict[str, Value] = {"gpu": about["name"] or "none", "torch": about["versions"]["torch"]}
    best = {f"matrix product in {kind} (TFLOP/s)": rate for kind, rate in about["best"].items()}
    publish(
        out,
        {"gpu": on["gpu"], **asdict(sizes), **best, **about["versions"]},
        results=[{**row, **on, "note": row.get("note")} for row in training_rows(found, about["best"])],
        zoom=[{**row, **on, "note": row.get("note")} for row in zoom_rows(found, sizes)],
    )


if __name__ == "__main__":
    typer.run(main)
