"""The nets in the box, measured: ``python -m experiments.pretrained.collect RUN --set5 FOLDER --set14 FOLDER``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from experiments import numbers
from experiments.cells import Sheet
from experiments.report import Value, machine, write_facts, write_rows
from zoomsr.cli.console import say
from zoomsr.cli.errors import one_line_errors
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.crops import comparison_row, crop_at, upscaled
from zoomsr.figures import Cost, comparison, tradeoff
from zoomsr.imaging.degradations import Bicubic as BicubicDown
from zoomsr.imaging.pixels import to_float
from zoomsr.models.complexity import costs_of
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.weights import Weights, weights_file
from zoomsr.runs.crops import Crop

HERE = Path(__file__).parent
SCALE = 2
AREAS = {
    "a lattice": ("Set5", "img_005", (30, 4, 128, 128)),
    "lettering": ("Set14", "img_013", (26, 210, 128, 128)),
    "a fruit's skin": ("Set14", "img_012", (264, 180, 128, 128)),
    "a butterfly's wing": ("Set5", "img_003", (90, 40, 128, 128)),
}
"""What the README shows: set, picture, and left, top, width, height in its pixels."""


def main(
    run: Annotated[Path, typer.Argument(help="folder that python -m zoomsr.evaluate made of the nets in the box")],
    set5: Annotated[Path, typer.Option(help="its pictures")],
    set14: Annotated[Path, typer.Option(help="its pictures")],
) -> None:
    """Write results.csv, facts.csv and the figures, and bring the README up to date."""
    with one_line_errors():
        measured = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        names = [name for name in measured["nets"] if name != "bicubic"]
        nets = {name: _net(name, measured["nets"][name]) for name in names}
        say({"measuring": "the latency of each net"})
        costs = {name: _cost(net) for name, net in nets.items()}
        write_rows(HERE / "results.csv", list(_rows(measured, costs, Sheet.read(HERE / "articles.csv"))))
        write_facts(HERE / "facts.csv", {"machine": machine(), **_trainings(names)})
        folder = HERE / "figures"
        folder.mkdir(exist_ok=True)
        areas = list(_areas({"Set5": set5, "Set14": set14}))
        _zooms(areas, {"unet": nets["unet"]}, folder / "zooms.webp")
        _zooms(areas, nets, folder / "all_nets.webp")
        points = {
            name: Cost(measured["sets"]["Set5"][name]["modern"]["mean"]["psnr_y"], cost["latency_ms"], cost["params"])
            for name, cost in costs.items()
        }
        tradeoff(points).savefig(folder / "tradeoff.png", dpi=110)
        numbers.write(HERE / "README.md")


def _net(name: str, measured: dict[str, Any]) -> nn.Module:
    """The net in the box, which must be the one that was measured."""
    path = weights_file(name)
    card = None if path is None else Card.beside(path)
    if path is None or card is None or measured["weights"]["sha256"] != card.sha256:
        raise ValueError(f"the run has measured other weights than the {name} in the box: python -m zoomsr.evaluate")
    return Weights.read(path).build().to(memory_format=torch.channels_last)


def _cost(net: nn.Module) -> dict[str, Any]:
    cost = costs_of(net, scale=SCALE, device=torch.device("cpu"), repeats=3)
    return {"params": cost.params, "gmacs": cost.macs / 1e9, "latency_ms": cost.latency_ms}


def _rows(measured: dict[str, Any], costs: dict[str, dict[str, Any]], articles: Sheet) -> Iterator[dict[str, Value]]:
    published = {(row["net"], row["set"]): float(row["psnr_y"]) for row in articles.rows}
    for name, nets in measured["sets"].items():
        for net, protocols in nets.items():
            for protocol, scores in protocols.items():
                mean = scores["mean"]
                article = published.get((net, name)) if protocol == "classic" else None
                yield {
                    "set": name,
                    "protocol": protocol,
                    "net": net,
                    **{key: mean[key] for key in ("psnr_y", "ssim_y", "psnr_rgb", "mae")},
                    "article_psnr_y": article,
                    **costs.get(net, {}),
                }


def _trainings(names: list[str]) -> dict[str, Value]:
    """What the cards say, and how large the files are."""
    cards = {name: Card.beside(path) for name in names if (path := weights_file(name)) is not None}
    sizes = {f"{name}, MB": path.stat().st_size / 1e6 for name in names if (path := weights_file(name)) is not None}
    pictures = {f"{name}, photographs": card.data["n_train"] for name, card in cards.items() if card is not None}
    return {**pictures, **sizes, "all, MB": sum(sizes.values())}


def _areas(folders: dict[str, Path]) -> Iterator[Crop]:
    for title, (name, picture, box) in AREAS.items():
        benchmark = Benchmark.find(folders[name], scale=SCALE)
        number = [hr.stem for hr, _ in benchmark.files].index(picture)
        found = benchmark.read(number)
        lr = BicubicDown(SCALE).down(found.hr)
        yield crop_at(title, box, lr=to_float(lr)[None], hr=to_float(found.hr)[None])


def _zooms(areas: list[Crop], nets: dict[str, nn.Module], path: Path) -> None:
    device = torch.device("cpu")
    rows = [
        comparison_row(area, {name: upscaled(net, area, device=device) for name, net in nets.items()}) for area in areas
    ]
    comparison(rows).savefig(path, dpi=110, pil_kwargs={"quality": 90})


if __name__ == "__main__":
    typer.run(main)
