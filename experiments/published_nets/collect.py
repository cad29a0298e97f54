"""The authors' weights, measured, as results.csv: ``python -m experiments.published_nets.collect RUN...``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments import numbers
from experiments.cells import Sheet
from experiments.report import Value, write_rows
from zoomsr.cli.errors import one_line_errors

HERE = Path(__file__).parent


def main(runs: Annotated[list[Path], typer.Argument(help="folders that python -m zoomsr.evaluate made")]) -> None:
    """Set the runs beside article.csv in results.csv, and bring the README up to date."""
    with one_line_errors():
        found = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in runs]
        write_rows(HERE / "results.csv", rows(found, Sheet.read(HERE / "article.csv")))
        numbers.write(HERE / "README.md")


def rows(runs: Sequence[dict[str, Any]], articles: Sheet) -> list[dict[str, Value]]:
    """A row for each of the articles' values, in their order.

    Raises:
        ValueError: a net or a set of the articles that no run has measured.
    """
    sets: dict[tuple[str, str], dict[str, dict[str, dict[str, float]]]] = {}
    for run in runs:
        for name, nets in run["sets"].items():
            *_, own = nets
            sets |= {(name, "bicubic"): nets["bicubic"], (name, label(run["nets"][own]["config"])): nets[own]}
    wanted = [(row["set"], row["net"]) for row in articles.rows]
    if missing := [" on ".join(reversed(key)) for key in wanted if key not in sets]:
        raise ValueError(f"no run measures {', '.join(missing)}: python -m zoomsr.evaluate data_dir=[Set5,Set14] ...")
    return [
        {
            "set": key[0],
            "net": key[1],
            "psnr_y": sets[key]["classic"]["mean"]["psnr_y"],
            "ssim_y": sets[key]["classic"]["mean"]["ssim_y"],
            "article_psnr_y": float(row["psnr_y"]),
            "modern_psnr_y": sets[key]["modern"]["mean"]["psnr_y"],
        }
        for key, row in zip(wanted, articles.rows, strict=True)
    ]


def label(config: dict[str, Any]) -> str:
    """The net as its article calls it: SRCNN 9-5-5, VDSR, IRCNN."""
    name: str = config["_target_"].rpartition(".")[2]
    return f"{name} {'-'.join(map(str, config['kernels']))}" if "kernels" in config else name


if __name__ == "__main__":
    typer.run(main)
