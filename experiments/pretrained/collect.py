"""The pretrained nets, measured: ``python -m experiments.pretrained.collect RUN --set5 FOLDER --set14 FOLDER``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from experiments import tables
from experiments.report import Value, machine, write_facts, write_rows
from zoomsr.cli.console import say
from zoomsr.cli.errors import one_line_errors
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.crops import comparison_row, crop_at, upscaled
from zoomsr.figures import Cost, comparison, tradeoff
from zoomsr.imaging.degradations import Bicubic as BicubicDown
from zoomsr.imaging.pixels import to_float
from zoomsr.models.complexity import Costs, costs_of
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.weights import Weights, weights_file
from zoomsr.runs.crops import Crop

HERE = Path(__file__).parent
CPU, SCALE = torch.device("cpu"), 2
CROPS = {
    "a lattice": ("Set5", "img_005", (30, 4, 128, 128)),
    "lettering": ("Set14", "img_013", (26, 210, 128, 128)),
    "a fruit's skin": ("Set14", "img_012", (264, 180, 128, 128)),
    "a butterfly's wing": ("Set5", "img_003", (90, 40, 128, 128)),
}
"""What the README shows: set, picture, and left, top, width, height in its pixels."""


def main(
    run: Annotated[Path, typer.Argument(help="folder that python -m zoomsr.evaluate made of the pretrained nets")],
    set5: Annotated[Path, typer.Option(help="its pictures")],
    set14: Annotated[Path, typer.Option(help="its pictures")],
) -> None:
    """Write results.csv, facts.csv and the figures, and bring the README up to date."""
    with one_line_errors():
        measured = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        files = {name: opened(name, measured["nets"]) for name in measured["nets"] if name != "bicubic"}
        nets = {name: Weights.read(path).build().eval() for name, (path, _) in files.items()}
        say({"measuring": "the latency of each net"})
        costs = {
            name: costs_of(net.to(memory_format=torch.channels_last), scale=SCALE, device=CPU, repeats=3)
            for name, net in nets.items()
        }
        write_rows(HERE / "results.csv", list(rows(measured["sets"], costs)))
        photographs = {f"{name}, photographs": card.data["n_train"] for name, (_, card) in files.items()}
        sizes = {f"{name}, MB": path.stat().st_size / 1e6 for name, (path, _) in files.items()}
        together = {"all, MB": sum(sizes.values())}
        write_facts(HERE / "facts.csv", {"machine": machine(), **photographs, **sizes, **together})
        draw(measured["sets"]["Set5"], costs, list(crops({"Set5": set5, "Set14": set14})), nets)
        tables.write(HERE / "README.md")


def opened(name: str, measured: Mapping[str, Any]) -> tuple[Path, Card]:
    """The file and the card of a pretrained net, which must be the one that was measured."""
    path = weights_file(name)
    card = None if path is None else Card.beside(path)
    if path is None or card is None or measured[name]["weights"]["sha256"] != card.sha256:
        raise ValueError(f"the run has measured other weights than the pretrained {name}: python -m zoomsr.evaluate")
    return path, card


def rows(sets: Mapping[str, Any], costs: Mapping[str, Costs]) -> Iterator[dict[str, Value]]:
    """A row for each set, net and protocol, beside the article's value and what the net costs."""
    articles = {(row["net"], row["set"]): float(row["psnr_y"]) for row in tables.rows(HERE / "articles.csv")}
    for name, nets in sets.items():
        for net, protocols in nets.items():
            cost = costs.get(net)
            spent = {"params": cost.params, "gmacs": cost.macs / 1e9, "latency_ms": cost.latency_ms} if cost else {}
            for protocol, scores in protocols.items():
                means = {key: scores["mean"][key] for key in ("psnr_y", "ssim_y", "psnr_rgb", "mae")}
                article = articles.get((net, name)) if protocol == "classic" else None
                yield {"set": name, "protocol": protocol, "net": net, **means, "article_psnr_y": article, **spent}


def crops(folders: Mapping[str, Path]) -> Iterator[Crop]:
    """What the README shows, lr made by bicubic."""
    for title, (name, picture, box) in CROPS.items():
        benchmark = Benchmark.find(folders[name], scale=SCALE)
        hr = benchmark.read([path.stem for path, _ in benchmark.files].index(picture)).hr
        yield crop_at(title, box, lr=to_float(BicubicDown(SCALE).down(hr))[None], hr=to_float(hr)[None])


def draw(set5: Mapping[str, Any], costs: Mapping[str, Costs], shown: list[Crop], nets: Mapping[str, nn.Module]) -> None:
    """The figures of the README."""
    folder = HERE / "figures"
    folder.mkdir(exist_ok=True)
    for name, chosen in (("zooms", ("unet",)), ("all_nets", tuple(nets))):
        figure = comparison(
            [comparison_row(crop, {net: upscaled(nets[net], crop, device=CPU) for net in chosen}) for crop in shown]
        )
        figure.savefig(folder / f"{name}.webp", dpi=110, pil_kwargs={"quality": 90})
    psnr = {name: set5[name]["modern"]["mean"]["psnr_y"] for name in nets}
    points = {name: Cost(psnr[name], cost.latency_ms, cost.params) for name, cost in costs.items()}
    tradeoff(points).savefig(folder / "tradeoff.png", dpi=110)


if __name__ == "__main__":
    typer.run(main)
