"""The pretrained denoisers beside the authors': ``python -m experiments.ircnn_bank.measure PUBLISHED PICTURES``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Annotated

import torch
import typer
from torch import Tensor

from experiments import tables
from experiments.report import Value, write_rows
from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.progress import track
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.imaging.degradations import Bicubic
from zoomsr.imaging.pixels import luma, to_float
from zoomsr.models.ircnn import IRCNN
from zoomsr.pretrained.names import weights_file
from zoomsr.pretrained.weights import Weights

HERE = Path(__file__).parent


def main(
    published: Annotated[Path, typer.Argument(help="the authors' 25 grey denoisers")],
    pictures: Annotated[Path, typer.Argument(help="a folder as for zoomsr.evaluate")],
) -> None:
    """Write results.csv, and bring the README up to date."""
    with one_line_errors(), torch.inference_mode():
        file, authors = weights_file("ircnn"), IRCNN(scale=2, degradation=Bicubic(2))
        assert file is not None
        Weights.read(published).load_into(authors)
        banks = {"box": Weights.read(file).build(), "published": authors}
        benchmark = Benchmark.find(pictures, scale=2)
        clean = [luma(to_float(benchmark.read(n).hr)[None]) for n in range(len(benchmark.files))]
        write_rows(HERE / "results.csv", list(rows(banks, clean)))
        tables.write(HERE / "README.md")


def rows(banks: dict[str, IRCNN], clean: list[Tensor]) -> Iterator[dict[str, Value]]:
    """PSNR of Y, on [0, 1], for each noise level that all banks have, in dB, mean over the pictures."""
    levels = min(len(bank.denoisers) for bank in banks.values())
    for number in track(range(levels), "denoising"):
        sigma = 2 * (number + 1)
        generator = torch.Generator().manual_seed(sigma)
        noisy = [one + torch.randn(one.shape, generator=generator) * sigma / 255 for one in clean]
        found: dict[str, Value] = {"sigma": sigma, "noisy": mean(map(decibels, noisy, clean))}
        for name, bank in banks.items():
            found[name] = mean(map(decibels, map(bank.denoisers[number], noisy), clean))
        yield found


def decibels(picture: Tensor, clean: Tensor) -> float:
    """PSNR of the whole picture."""
    return float(-10 * (picture - clean).square().mean().log10())


if __name__ == "__main__":
    typer.run(main)
