"""Nets on JPEGs of every quality: ``python -m experiments.real_photographs.measure SET5 SET14``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import typer
from matplotlib.figure import Figure
from torch import nn

from experiments import tables
from experiments.report import Value, write_facts, write_rows
from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.progress import track
from zoomsr.data.sources.photographs import sample
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.crops import comparison_row, crop_at, upscaled
from zoomsr.evaluation.evaluator import evaluate
from zoomsr.figures import Enlargement, comparison
from zoomsr.figures.style import chart, looks
from zoomsr.imaging.degradations import Bicubic, Chain, Degradation, GaussianNoise, Jpeg
from zoomsr.imaging.files import read
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.pixels import crop_to_multiple, to_float
from zoomsr.models import at_quality
from zoomsr.models.bicubic import Bicubic as BicubicUp
from zoomsr.pretrained.names import weights_file
from zoomsr.pretrained.weights import Weights

HERE = Path(__file__).parent
CPU = torch.device("cpu")
NETS = ("unet", "unet_photo")
QUALITIES = (20, 30, 40, 50, 65, 75, 85, 95, NEVER_COMPRESSED)
PHONE = Chain([Bicubic(2), GaussianNoise(5 / 255), Jpeg(75)])
CROPS = {"the rim": (224, 40, 128, 128), "the saucer": (400, 208, 128, 128)}
"""Of the sample's coffee: left, top, width, height in its pixels."""


def main(sets: Annotated[list[Path], typer.Argument(help="folders as for zoomsr.evaluate, x2")]) -> None:
    """Write results.csv, facts.csv and the figures, and bring the README up to date."""
    with one_line_errors():
        nets: dict[str, nn.Module] = {"bicubic": BicubicUp(2), **{name: opened(name) for name in NETS}}
        benchmarks = [Benchmark.find(folder, scale=2, published_lr=False) for folder in sets]
        found = [row for quality in track(QUALITIES, "qualities") for row in rows(nets, benchmarks, quality)]
        write_rows(HERE / "results.csv", found)
        folder = HERE / "figures"
        folder.mkdir(exist_ok=True)
        gains({name: [row for row in found if row["net"] == name] for name in NETS}).savefig(
            folder / "gain.png", dpi=150
        )
        shown = [enlargement(nets, title, box) for title, box in CROPS.items()]
        comparison(shown).savefig(folder / "coffee.webp", dpi=150)
        scores = {f"{row.name}, {net}": panel.psnr_y for row in shown for net, panel in row.methods.items()}
        write_facts(HERE / "facts.csv", scores)
        tables.write(HERE / "README.md")


def opened(name: str) -> nn.Module:
    """A pretrained net."""
    file = weights_file(name)
    assert file is not None
    return Weights.read(file).build()


def compressed(quality: int) -> Degradation:
    """Bicubic, then libjpeg with chroma 4:2:0."""
    return Bicubic(2) if quality == NEVER_COMPRESSED else Chain([Bicubic(2), Jpeg(quality)])


def rows(nets: Mapping[str, nn.Module], benchmarks: Sequence[Benchmark], quality: int) -> Iterator[dict[str, Value]]:
    """Mean PSNR of each net on each set, and its least gain over bicubic on any picture."""
    for benchmark in benchmarks:
        scores = evaluate(nets, benchmark, degradation=compressed(quality), device=CPU, advance=lambda: None)
        by_net = {net: [one.psnr_y for one in scores[net]["modern"].values()] for net in nets}
        for net, values in by_net.items():
            gained = [one - other for one, other in zip(values, by_net["bicubic"], strict=True)]
            yield {
                "set": benchmark.name,
                "quality": quality,
                "net": net,
                "psnr_y": fmean(values),
                "mean_gain": fmean(gained),
                "least_gain": min(gained),
            }


def gains(by_net: Mapping[str, Sequence[Mapping[str, Value]]]) -> Figure:
    """Gain over bicubic in dB against quality: the mean over all sets as a line, the worst picture as a dotted one."""
    figure, ax = chart(7.0, 3.8, x="JPEG quality (100: never compressed)", y="PSNR on Y over bicubic (dB)")
    chosen = looks(by_net)
    for net, found in by_net.items():
        look = chosen[net]
        for column, style, label in (("mean_gain", "-", f"{net}, mean"), ("least_gain", ":", f"{net}, worst picture")):
            reduced = fmean if column == "mean_gain" else min
            values = [reduced([float(str(row[column])) for row in found if row["quality"] == one]) for one in QUALITIES]
            ax.plot(QUALITIES, values, style, label=label, color=look.colour, marker=look.marker, markersize=4)
    ax.axhline(0, color="black", linewidth=0.8)
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    return figure


def enlargement(nets: Mapping[str, nn.Module], title: str, box: tuple[int, int, int, int]) -> Enlargement:
    """A crop of the sample's coffee as a phone would have kept it at half the size, enlarged by each net."""
    (photo,) = [one for one in (*sample().train, *sample().val) if one.name == "coffee"]
    hr = crop_to_multiple(read(photo.path), 2)
    lr = PHONE.down(hr, torch.Generator().manual_seed(0))
    crop = crop_at(title, box, lr=to_float(lr)[None], hr=to_float(hr)[None])
    told = {name: at_quality(net, PHONE.jpeg_quality()) for name, net in nets.items() if name != "bicubic"}
    return comparison_row(crop, {name: upscaled(net, crop, device=CPU) for name, net in told.items()})


if __name__ == "__main__":
    typer.run(main)
