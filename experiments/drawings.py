"""The figures of a study, as its runs allow: what a run has not kept is not drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from experiments.collecting import BICUBIC, by_job
from experiments.measuring import Measured
from experiments.trials import Trial
from zoomsr.anatomy import stages
from zoomsr.areas import PICTURES, read_areas
from zoomsr.costs import Costs
from zoomsr.drawing import comparison_row, epochs_row, gallery_rows
from zoomsr.figures import Cost, architecture, comparison, curves, dots, epochs, gallery, matrix, spectrum, tradeoff
from zoomsr.frequency import N_BANDS
from zoomsr.models.unet import UNet
from zoomsr.runs import Run

_PROTOCOL = "modern"


def draw(folder: Path, trials: Sequence[Trial], measured: Mapping[Path, Measured], costs: Mapping[str, Costs]) -> None:
    """Write ``figures/*.png`` into the study's folder.

    Args:
        folder: of the study.
        trials: that are finished.
        measured: folder of each to its means on the test sets; a folder called ``bicubic`` holds the baseline's.
        costs: of each job's net.
    """
    target = folder / "figures"
    target.mkdir(exist_ok=True)
    jobs = by_job(trials)
    figures = {**_charts(jobs, measured, costs), **_pictures(jobs)}
    for name, figure in figures.items():
        figure.savefig(target / f"{name}.png", dpi=110)


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
    histories = {job: [Run.read(one.folder).epochs for one in seeds] for job, seeds in jobs.items()}
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


def _pictures(jobs: Mapping[str, list[Trial]]) -> dict[str, Figure]:
    """Of the first seed: nets side by side, and the first net's epochs, gallery and drawing."""
    first, *_ = jobs.values()
    run = first[0].folder
    areas = {job: read_areas(seeds[0].folder / PICTURES) for job, seeds in jobs.items()}
    places = [{(area.name, area.box) for area in found} for found in areas.values() if found]
    figures = {}
    if places and all(place == places[0] for place in places):
        rows = [
            comparison_row(
                area,
                {job: one.tested for job, found in areas.items() for one in found[n : n + 1] if one.tested is not None},
            )
            for n, area in enumerate(read_areas(run / PICTURES))
        ]
        figures["comparison"] = comparison(rows)
        figures["epochs"] = epochs([epochs_row(area) for area in read_areas(run / PICTURES)])
    gains, errors = gallery_rows(run, net_name=first[0].job)
    if errors:
        figures["gallery"] = gallery(gains=gains, errors=errors)
    if isinstance(net := first[0].net(), UNet):
        figures["architecture"] = architecture(stages(net))
    return figures
