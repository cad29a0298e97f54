"""The speedrun: ``python -m experiments.speedrun.run --target 37.0 --set5 FOLDER`` runs the record holder again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments import tables
from experiments.report import machine, write_rows
from zoomsr.cli.console import say
from zoomsr.cli.errors import one_line_errors
from zoomsr.runs.layout import METRICS_CSV, METRICS_JSON

HERE = Path(__file__).parent
RECORDS = HERE / "records.csv"
Row = dict[str, Any]


def main(
    target: Annotated[float, typer.Option(help="dB of PSNR on Y on Set5, x2, protocol modern")],
    set5: Annotated[Path, typer.Option(help="its pictures")],
    data: Annotated[str, typer.Option(help="overrides that choose the photographs")] = "data=photos",
    minutes: Annotated[float | None, typer.Option(help="a try: the training's time on one core")] = None,
    overrides: Annotated[str, typer.Option(help="a try: settings of zoomsr.train, separated by spaces")] = "",
    seed: Annotated[int, typer.Option(help="a try: its seed")] = 1,
    runs: Annotated[Path, typer.Option(help="where the run goes")] = Path("runs/speedrun"),
) -> None:
    """Train on one core, measure on Set5, exit with 1 below the target; a try that is faster than the record enters."""
    with one_line_errors():
        records: list[Row] = list(tables.rows(RECORDS)) if RECORDS.is_file() else []
        holder = record_of(records, target)
        if minutes is None and holder is None:
            raise ValueError(f"nobody has reached {target} dB yet: --minutes and --overrides make the first try")
        own = {"minutes": minutes, "seed": seed, "overrides": overrides}
        row: Row = {"target": target, **(own if minutes is not None else holder or {})}
        folder, commit = runs / f"{target:.1f}", committed()
        psnr = measured(row, folder=folder, set5=set5, data=data)
        spent = f"{float(row['minutes']):g} minutes on one core"
        say({"reached": f"{psnr:.3f} dB on Set5 after {spent}; wanted {target} dB"})
        if psnr < target:
            sys.exit(1)
        if minutes is not None and (holder is None or minutes < float(holder["minutes"])):
            enter(records, {**row, "set5": psnr, "commit": commit}, log=folder / METRICS_CSV)


def record_of(records: list[Row], target: float) -> Row | None:
    """The fastest row that reaches the target; of equal ones the first."""
    reached = [row for row in records if float(row["target"]) == target]
    return min(reached, key=lambda row: float(row["minutes"]), default=None)


def measured(row: Row, *, folder: Path, set5: Path, data: str) -> float:
    """Train from random weights as the row says, on one core, and return the PSNR on Set5.

    Raises:
        ValueError: the training or the evaluation failed.
    """
    core = max(os.sched_getaffinity(0))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    place, evaluation = folder.absolute(), folder.absolute().with_name(f"{folder.name}_set5")
    settings = [*data.split(), *str(row["overrides"]).split(), f"seed={row['seed']}", "trainer.accelerator=cpu"]
    train = ["train", *settings, f"budget={round(60 * float(row['minutes']))}s", f"hydra.run.dir={place}"]
    evaluate = ["evaluate", f"data_dir=[{set5}]", f"ckpt=[{place}]", "device=cpu", f"hydra.run.dir={evaluation}"]
    for command in (train, evaluate):
        command = [sys.executable, "-m", f"zoomsr.{command[0]}", *command[1:], "overwrite=true"]
        done = subprocess.run(command, env=environment, check=False, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        if done.returncode:
            raise ValueError(f"{' '.join(command[2:4])} failed, see above")
    (nets,) = json.loads((evaluation / METRICS_JSON).read_text(encoding="utf-8"))["sets"].values()
    (own,) = (scores for net, scores in nets.items() if net != "bicubic")
    return float(own["modern"]["mean"]["psnr_y"])


def committed() -> str:
    """The commit, with ``-dirty`` where files differ from it: of the start, for hours later there may be another."""
    describe = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()


def enter(records: list[Row], row: Row, *, log: Path) -> None:
    """Add a record with its log, and bring the README up to date."""
    name = f"{row['target']:.1f}_{float(row['minutes']):g}min.csv"
    (HERE / "logs").mkdir(exist_ok=True)
    shutil.copyfile(log, HERE / "logs" / name)
    about = {"date": date.today().isoformat(), "processor": machine(), "log": f"logs/{name}"}
    write_rows(RECORDS, [*records, {**row, **about}])
    tables.write(HERE / "README.md")


if __name__ == "__main__":
    typer.run(main)
