"""The trainings behind the pretrained nets: ``python -m experiments.pretrained.rounds NET RUN --start WHAT``."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from experiments import tables
from experiments.report import Value, machine, write_rows
from zoomsr.cli.errors import one_line_errors
from zoomsr.inference.release import Origin
from zoomsr.runs.run import Run

HERE = Path(__file__).parent
ROUNDS = HERE / "rounds.csv"


def main(
    net: Annotated[str, typer.Argument(help="the pretrained net: unet, unet_x3 ...")],
    run: Annotated[Path, typer.Argument(help="the folder of a finished training")],
    start: Annotated[str, typer.Option(help="what it started from: random, or a net and its round, as unet 2")],
    shipped: Annotated[bool, typer.Option("--shipped", help="its weights are those of the package now")] = False,
) -> None:
    """Enter a training as the net's next round, and bring the README up to date."""
    with one_line_errors():
        known = list(tables.rows(ROUNDS)) if ROUNDS.is_file() else []
        number = 1 + sum(row["net"] == net for row in known)
        entry = {"net": net, "round": number, "start": start, **measured(Run.read(run))}
        write_rows(ROUNDS, [*known, {**entry, "shipped": "yes" if shipped else ""}])
        tables.write(HERE / "README.md")


def measured(run: Run) -> dict[str, Value]:
    """What the run says of itself.

    Raises:
        ValueError: it is not finished.
    """
    if run.results is None:
        raise ValueError(f"{run.path} is not finished: python -m zoomsr.train ckpt={run.path}")
    *_, own = run.means().values()
    return {
        "date": date.today().isoformat(),
        "photographs": run.results["data"]["n_train"],
        "val_psnr_y": own["psnr_y"],
        "minutes": round(run.results["seconds"] / 60, 1),
        "processor": machine(),
        "recipe": Origin.of_run(run).command.removeprefix("python -m zoomsr.train "),
    }


if __name__ == "__main__":
    typer.run(main)
