"""The figures of a study, as its runs allow: what a run has not kept is not drawn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from experiments.collecting import BICUBIC, by_job
from experiments.measuring import SCALE, Benchmarks, Measured, ready
from experiments.trials import Trial
from zoomsr.evaluation.benchmarks import Benchmark, Picture
from zoomsr.evaluation.crops import comparison_row, crop_rows, epochs_row, hardest_crop, magnified
from zoomsr.figures import (
    Cost,
    Enlargement,
    architecture,
    best_worst,
    comparison,
    curves,
    dots,
    epochs,
    matrix,
    spectrum,
    tradeoff,
)
from zoomsr.imaging.degradations import Degradation
from zoomsr.imaging.pixels import to_float
from zoomsr.metrics.spectrum import N_BANDS
from zoomsr.models.complexity import Costs
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.unet import UNet
from zoomsr.report.anatomy import stages
from zoomsr.runs.crops import Crop, read_crops
from zoomsr.runs.layout import PICTURES
from zoomsr.runs.run import Run

_PROTOCOL = "modern"
_AREAS, _SIDE = 3, 128


def draw(
    folder: Path,
    trials: Sequence[Trial],
    measured: Mapping[Path, Measured],
    costs: Mapping[str, Costs],
    tests: Benchmarks,
) -> None:
    """Write those figures into the study's ``figures/`` that its README shows, as PNG or WebP.

    Args:
        folder: of the study.
        trials: that are finished.
        measured: folder of each to its means on the test sets; a folder called ``bicubic`` holds the baseline's.
        costs: of each job's net.
        tests: what the nets were tested on; pictures of the last folder are shown.
    """
    target = folder / "figures"
    target.mkdir(exist_ok=True)
    jobs = by_job(trials)
    figures = {**_charts(jobs, measured, costs), **_kept(jobs)}
    if tests.folders:
        rows = _strips(jobs, tests.folders[-1], next(iter(tests.degradations.values())))
        figures |= {"hardest": comparison(rows[:1]), "comparison": comparison(rows)}
    shown = dict(re.findall(r"figures/(\w+)\.(png|webp)", (folder / "README.md").read_text(encoding="utf-8")))
    for name in figures.keys() & shown.keys():
        lossy = {"quality": 90} if shown[name] == "webp" else {}  # photographs: a fifth of a PNG
        figures[name].savefig(target / f"{name}.{shown[name]}", dpi=110, pil_kwargs=lossy)


def _charts(
    jobs: Mapping[str, list[Trial]], measured: Mapping[Path, Measured], costs: Mapping[str, Costs]
) -> dict[str, Figure]:
    baseline = next(sets for place, sets in measured.items() if place.name == BICUBIC)
    test, degradations = next(iter(baseline.items()))
    shrunk, *others = degradations

    def means(trial: Trial, degradation: str = shrunk) -> dict[str, float]:
        return measured[trial.folder][test][degradation][_PROTOCOL]

    bicubic = degradations[shrunk][_PROTOCOL]
    psnr = {job: [means(trial)["psnr_y"] for trial in seeds] for job, seeds in jobs.items()}
    bands = {BICUBIC: _bands([bicubic]), **{job: _bands([means(one) for one in seeds]) for job, seeds in jobs.items()}}
    histories = {job: [Run.read(one.folder).epochs for one in seeds if not one.is_sweep] for job, seeds in jobs.items()}
    charts = {
        "curves": curves({job: rows for job, rows in histories.items() if any(rows)}),
        "dots": dots(psnr, axis=f"{test}, PSNR on Y (dB)", baseline=bicubic["psnr_y"]),
        "spectrum": spectrum(bands),
    }
    if others:
        values = [
            [sum(means(one, name)["psnr_y"] for one in seeds) / len(seeds) for name in degradations]
            for seeds in jobs.values()
        ]
        charts["matrix"] = matrix(
            values,
            rows=list(jobs),
            columns=list(degradations),
            axis=f"{test}, PSNR on Y (dB)",
            row_title="trained on",
            column_title="tested on",
        )
    if len({cost.params for cost in costs.values()}) > 1:
        points = {job: Cost(sum(psnr[job]) / len(psnr[job]), costs[job].latency_ms, costs[job].params) for job in jobs}
        charts["tradeoff"] = tradeoff(points)
    return charts


def _bands(scores: Sequence[Mapping[str, float]]) -> list[float]:
    return [sum(score[f"error_band_{n + 1}"] for score in scores) / len(scores) for n in range(N_BANDS)]


def _strips(jobs: Mapping[str, list[Trial]], test: Path, degradation: Degradation) -> list[Enlargement]:
    """Nets of the first seed side by side on the test pictures that are hardest for bicubic."""
    benchmark = Benchmark.find(test, scale=SCALE)
    areas = [_area(benchmark.read(number), degradation) for number in range(len(benchmark.files))]
    hardest = sorted(areas, key=lambda area: float(np.square(area.bicubic - area.hr).mean()), reverse=True)[:_AREAS]
    nets = {job: ready(seeds[0].net()) for job, seeds in jobs.items()}
    device = torch.device("cpu")
    return [
        comparison_row(area, {job: magnified(net, area, device=device) for job, net in nets.items()})
        for area in hardest
    ]


def _area(picture: Picture, degradation: Degradation) -> Crop:
    lr = degradation.down(picture.hr)
    return hardest_crop(picture.name, lr=to_float(lr)[None], hr=to_float(picture.hr)[None], side=_SIDE)


def _kept(jobs: Mapping[str, list[Trial]]) -> dict[str, Figure]:
    """Of the first net's first seed: its epochs, its gallery, and the net itself."""
    trial = next(iter(jobs.values()))[0]
    figures = {}
    if areas := read_crops(trial.folder / PICTURES):
        figures["epochs"] = epochs([epochs_row(area) for area in areas])
    gains, errors = crop_rows(trial.folder, net_name=trial.job)
    if errors:
        figures["gallery"] = best_worst(gains=gains, errors=errors)
    if isinstance(net := trial.net(), (UNet, ResidualUNet)):
        figures["architecture"] = architecture(stages(net))
    return figures
