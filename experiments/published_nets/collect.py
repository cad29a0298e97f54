"""The authors' weights, measured, as results.csv: ``python -m experiments.published_nets.collect RUN...``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments import tables
from experiments.report import Value, write_rows
from zoomsr.cli.errors import one_line_errors

HERE = Path(__file__).parent


def main(runs: Annotated[list[Path], typer.Argument(help="folders that python -m zoomsr.evaluate made")]) -> None:
    """Set the runs beside article.csv in results.csv, and bring the README up to date."""
    with one_line_errors():
        found = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in runs]
        write_rows(HERE / "results.csv", rows(found, tables.rows(HERE / "article.csv")))
        tables.write(HERE / "README.md")


def rows(runs: Sequence[dict[str, Any]], articles: Sequence[tables.Row]) -> list[dict[str, Value]]:
    """A row for each of the articles' values, in their order.

    Raises:
        ValueError: a net or a set of the articles that no run has measured.
    """
    measured: dict[tuple[str, str], dict[str, dict[str, dict[str, float]]]] = {}
    for run in runs:
        for name, nets in run["sets"].items():
            *_, own = nets
            measured |= {(name, "bicubic"): nets["bicubic"], (name, label(run["nets"][own]["config"])): nets[own]}
    found: list[dict[str, Value]] = []
    for row in articles:
        if (row["set"], row["net"]) not in measured:
            raise ValueError(f"no run measures {row['net']} on {row['set']}: python -m zoomsr.evaluate data_dir=FOLDER")
        means = {protocol: scores["mean"] for protocol, scores in measured[row["set"], row["net"]].items()}
        ours = {"psnr_y": means["classic"]["psnr_y"], "ssim_y": means["classic"]["ssim_y"]}
        beside = {"article_psnr_y": float(row["psnr_y"]), "modern_psnr_y": means["modern"]["psnr_y"]}
        found.append({"set": row["set"], "net": row["net"], **ours, **beside})
    return found


def label(config: dict[str, Any]) -> str:
    """The net as its article calls it: SRCNN 9-5-5, VDSR, IRCNN."""
    name: str = config["_target_"].rpartition(".")[2]
    return f"{name} {'-'.join(map(str, config['kernels']))}" if "kernels" in config else name


if __name__ == "__main__":
    typer.run(main)
