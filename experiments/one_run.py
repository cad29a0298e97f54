"""A study of one run: its metrics.json as results.csv and facts.csv, by ``python -m experiments.one_run STUDY``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments import tables
from experiments.report import Value, write_facts, write_rows
from zoomsr.cli.errors import one_line_errors

COLUMNS = ("psnr_y", "psnr_rgb", "ssim_y", "ssim_rgb", "mae")


def main(study: Annotated[Path, typer.Argument(help="a folder with metrics.json and README.md")]) -> None:
    """Write both files, and bring the README up to date."""
    with one_line_errors():
        results = json.loads((study / "metrics.json").read_text(encoding="utf-8"))
        write_rows(study / "results.csv", rows(results))
        write_facts(study / "facts.csv", facts(results))
        tables.write(study / "README.md")


def rows(results: dict[str, Any]) -> list[dict[str, Value]]:
    """The mean, then each photograph, by each net."""
    (nets,), (protocol,) = results["sets"].values(), results["protocols"]
    found = []
    for photograph in ["mean", *next(iter(nets.values()))[protocol]["images"]]:
        for net, by_protocol in nets.items():
            scores = {"mean": by_protocol[protocol]["mean"], **by_protocol[protocol]["images"]}[photograph]
            found.append({"photograph": photograph, "net": net, **{name: scores[name] for name in COLUMNS}})
    return found


def facts(results: dict[str, Any]) -> dict[str, Value]:
    """What the run says of itself."""
    (protocol,) = results["protocols"]
    own = {name: results[name] for name in ("best_epoch", "epochs", "seconds")}
    data = {name: results["data"][name] for name in ("n_train", "n_val", "hash")}
    return {"protocol": protocol, **own, "params": results["net"]["params"], **data, **results["versions"]}


if __name__ == "__main__":
    typer.run(main)
