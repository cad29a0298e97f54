"""Run a study, measure its nets, redraw its figures and rewrite its tables: ``make study S=unet_ablation``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from experiments.collecting import collect, held_out
from experiments.drawings import draw
from experiments.measuring import Benchmarks, costs, measure
from experiments.tables import write
from experiments.trials import EXPERIMENTS, Study
from zoomsr.cli.console import say
from zoomsr.cli.errors import one_line_errors
from zoomsr.runs.files import short


def main(
    name: Annotated[str, typer.Argument(help="a folder of experiments/ with a study.yaml")],
    data: Annotated[str, typer.Option(help="overrides that choose the photographs: 'data=folder data.root=FOLDER'")],
    test: Annotated[list[Path] | None, typer.Option(help="a folder of benchmark pictures: Set5")] = None,
    runs: Annotated[Path, typer.Option(help="where the runs are kept")] = Path("runs/studies"),
    seeds: Annotated[str, typer.Option(help="1,2: these seeds alone; default: the study's")] = "",
) -> None:
    """Train what is not trained yet, measure what is not measured, and write results.csv, figures/ and README.md."""
    with one_line_errors():
        study = Study.read(name)
        wanted = [int(seed) for seed in seeds.split(",")] if seeds else study.seeds
        trials = study.trials(runs, data=data.split())
        tests = Benchmarks.find(test or [], study.test_degradations)  # before hours are spent
        failed = [trial for trial in trials if trial.seed in wanted and not trial.is_finished and trial.run()]
        for trial in failed:
            say({"failed": short(trial.folder)})
        finished = [trial for trial in trials if trial.is_finished]
        if not finished:
            raise ValueError(f"no run of {name} is finished")
        folder = EXPERIMENTS / name
        measured = measure(finished, tests, runs=runs / name) if test else held_out(finished)
        spent = costs(finished)
        collect(folder, finished, measured, spent)
        draw(folder, finished, measured, spent, tests)
        write(folder / "README.md")
        say({"study": short(folder / "README.md"), "runs": f"{len(finished)} of {len(trials)}"})
        sys.exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
