"""Run a study, evaluate its nets, and write its csv files, figures and README: ``make study S=unet_ablation``."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from hydra import compose, initialize_config_dir
from torch import nn

from experiments.collecting import epochs, facts, results
from experiments.report import write_facts, write_rows
from experiments.tables import write
from experiments.trials import EXPERIMENTS, Study, Trial
from zoomsr.cli.config import CONF_DIR, instantiate
from zoomsr.cli.console import say
from zoomsr.cli.errors import one_line_errors
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.crops import comparison_row, hardest_crop, upscaled
from zoomsr.figures import Enlargement, comparison
from zoomsr.imaging.degradations import Degradation
from zoomsr.imaging.pixels import to_float
from zoomsr.models.complexity import costs_of
from zoomsr.pretrained.weights import Weights
from zoomsr.report.charts import charts
from zoomsr.report.entries import read_entries
from zoomsr.report.groups import SeedGroup
from zoomsr.report.images import image_figures
from zoomsr.report.leaderboard import Leaderboard, leaderboards
from zoomsr.runs.files import short

SCALE = 2
_CPU = torch.device("cpu")
_CROPS, _SIDE = 3, 128


def main(
    name: Annotated[str, typer.Argument(help="a folder of experiments/ with a study.yaml")],
    data: Annotated[
        str, typer.Option(help="overrides that choose the training images: 'data=folder data.root=FOLDER'")
    ],
    test: Annotated[list[Path] | None, typer.Option(help="a folder of benchmark images: Set5")] = None,
    runs: Annotated[Path, typer.Option(help="where the runs are kept")] = Path("runs/studies"),
    seeds: Annotated[str, typer.Option(help="1,2: these seeds alone; default: the study's")] = "",
) -> None:
    """Train what is not trained yet, evaluate what is not evaluated, and write results.csv, figures/ and README.md."""
    with one_line_errors():
        study = Study.read(name)
        wanted = [int(seed) for seed in seeds.split(",")] if seeds else study.seeds
        trials = study.trials(runs, data=data.split())
        benchmarks = [Benchmark.find(folder, scale=SCALE) for folder in test or ()]  # before hours are spent
        degradations = {choice: degradation_named(choice) for choice in study.test_degradations}
        failed = [trial for trial in trials if trial.seed in wanted and not trial.is_finished and trial.train()]
        for trial in failed:
            say({"failed": short(trial.folder)})
        finished = [trial for trial in trials if trial.is_finished]
        if not finished:
            raise ValueError(f"no run of {name} is finished")
        folder = EXPERIMENTS / name
        groups = groups_of(finished, test or (), study.test_degradations)
        tables = tables_of(groups, test or (), degradations)
        collect(folder, finished, tables, degradations)
        rows = hardest(finished, benchmarks[-1], next(iter(degradations.values()))) if benchmarks else []
        draw(folder, groups, tables, rows)
        write(folder / "README.md")
        say({"study": short(folder / "README.md"), "runs": f"{len(finished)} of {len(trials)}"})
        sys.exit(1 if failed else 0)


def degradation_named(choice: str) -> Degradation:
    """A choice of ``conf/degradation``."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        found: Degradation = instantiate(compose("train", [f"degradation={choice}"]).degradation)
    return found


def groups_of(trials: Sequence[Trial], test: Sequence[Path], degradations: Sequence[str]) -> list[SeedGroup]:
    """A group for each job: its runs and their evaluations, with the costs of its net, measured here and now."""
    jobs: dict[str, list[Trial]] = {}
    for trial in trials:
        jobs.setdefault(trial.job, []).append(trial)
    groups = []
    for job, seeds in jobs.items():
        net = prepared(seeds[0])
        costs = asdict(costs_of(net, scale=SCALE, device=_CPU, repeats=3))
        entries = []
        for trial in seeds:
            places = [trial.evaluate(test, choice) for choice in degradations] if test else []
            for entry in read_entries([*([] if trial.is_sweep else [trial.folder]), *places]):
                seconds = sum((run.results or {})["seconds"] for run in trial.runs)
                entries.append(replace(entry, about={**entry.about, **costs, "seconds": seconds}))
        groups.append(SeedGroup(job, entries))
    return groups


def prepared(trial: Trial) -> nn.Module:
    """The trained net on the CPU, in the memory format in which it is fastest."""
    net: nn.Module = Weights.read(trial.weights()).build().to(memory_format=torch.channels_last)
    return net


def tables_of(
    groups: Sequence[SeedGroup], test: Sequence[Path], degradations: Mapping[str, Degradation]
) -> list[Leaderboard]:
    """Of the test sets, by set and degradation; without test sets, of the runs' own validation images."""
    sets, made_by = [folder.name for folder in test], [repr(one) for one in degradations.values()]
    tables = leaderboards(groups)
    if not sets:
        return tables
    tested = [table for table in tables if table.measured.name in sets and table.measured.degradation in made_by]
    return sorted(tested, key=lambda one: (sets.index(one.measured.name), made_by.index(one.measured.degradation)))


def collect(
    folder: Path, trials: Sequence[Trial], tables: Sequence[Leaderboard], degradations: Mapping[str, Degradation]
) -> None:
    """Write results.csv, epochs.csv and facts.csv into the study's folder."""
    jobs = list(dict.fromkeys(trial.job for trial in trials))
    choices = {repr(degradation): choice for choice, degradation in degradations.items()}
    write_rows(folder / "results.csv", list(results(tables, jobs, choices)))
    histories = {job: [t.runs[0] for t in trials if t.job == job and not t.is_sweep] for job in jobs}
    write_rows(folder / "epochs.csv", [row for job, runs in histories.items() for row in epochs(job, runs)])
    write_facts(folder / "facts.csv", facts([run for trial in trials for run in trial.runs]))


def hardest(trials: Sequence[Trial], benchmark: Benchmark, degradation: Degradation) -> list[Enlargement]:
    """Nets of the first seed side by side on the test crops that are hardest for bicubic."""
    crops = []
    for number in range(len(benchmark.files)):
        image = benchmark.read(number)
        lr, hr = to_float(degradation.down(image.hr))[None], to_float(image.hr)[None]
        crops.append(hardest_crop(image.name, lr=lr, hr=hr, side=_SIDE))
    crops.sort(key=lambda crop: float(np.square(crop.bicubic - crop.hr).mean()), reverse=True)
    nets = {trial.job: prepared(trial) for trial in reversed(trials)}
    jobs = dict.fromkeys(trial.job for trial in trials)
    return [
        comparison_row(crop, {job: upscaled(nets[job], crop, device=_CPU) for job in jobs}) for crop in crops[:_CROPS]
    ]


def draw(folder: Path, groups: Sequence[SeedGroup], tables: Sequence[Leaderboard], rows: Sequence[Enlargement]) -> None:
    """Write those figures into the study's ``figures/`` that its README shows, as PNG or WebP."""
    drawings = [*charts(groups, []), *charts([], tables), *image_figures(groups)]  # curves of all jobs together
    found = {drawing.name.partition("_")[0]: drawing.draw for drawing in reversed(drawings)}  # the first of each kind
    if rows:
        found |= {"hardest": lambda: comparison(rows[:1]), "comparison": lambda: comparison(rows)}
    (folder / "figures").mkdir(exist_ok=True)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for name, suffix in set(re.findall(r"figures/(\w+)\.(png|webp)", readme)):
        if name in found:
            lossy = {"quality": 90} if suffix == "webp" else {}  # images: a fifth of a PNG
            found[name]().savefig(folder / "figures" / f"{name}.{suffix}", dpi=110, pil_kwargs=lossy)


if __name__ == "__main__":
    typer.run(main)
