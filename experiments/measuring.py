"""The nets of a study on benchmark pictures; what is measured once is kept beside the run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from torch import nn

from experiments.trials import Trial
from zoomsr.cli.config import CONF_DIR, instantiate
from zoomsr.cli.console import progress_bar
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.evaluator import evaluate
from zoomsr.imaging.degradations import Bicubic as BicubicDown
from zoomsr.imaging.degradations import Degradation
from zoomsr.metrics.quality import mean_score
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.complexity import Costs, costs_of
from zoomsr.runs.files import write_json

KEPT = "tests.json"
SCALE = 2

Measured = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Set -> degradation that it was shrunk by -> protocol -> mean metrics."""


@dataclass(frozen=True)
class Benchmarks:
    """What every net is tested on.

    Attributes:
        folders: of benchmark pictures.
        degradations: name to what shrinks them; published lr files serve bicubic alone.
    """

    folders: tuple[Path, ...]
    degradations: Mapping[str, Degradation]

    @staticmethod
    def find(folders: Sequence[Path], choices: Sequence[str]) -> Benchmarks:
        """Look whether all of them are there.

        Raises:
            ValueError: a folder without pictures.
        """
        for folder in folders:
            Benchmark.find(folder, scale=SCALE)
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            found = {name: instantiate(compose("train", [f"degradation={name}"]).degradation) for name in choices}
        return Benchmarks(tuple(folders), found)


def measure(trials: Sequence[Trial], tests: Benchmarks, *, runs: Path) -> dict[Path, Measured]:
    """Measure every trial's net, and bicubic, which is kept in ``runs/bicubic``.

    Returns:
        Folder of the trial, or ``runs/bicubic``, to its means.
    """
    nets: dict[Path, Trial | None] = {runs / "bicubic": None, **{trial.folder: trial for trial in trials}}
    measured = {}
    with progress_bar() as progress:
        task = progress.add_task("nets on test pictures", total=len(nets))
        for folder, trial in nets.items():
            measured[folder] = _kept(folder, trial, tests)
            progress.advance(task)
    return measured


def _kept(folder: Path, trial: Trial | None, tests: Benchmarks) -> Measured:
    path = folder / KEPT
    measured: Measured = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    net: Any = None
    for test in tests.folders:
        for name, degradation in tests.degradations.items():
            if name not in measured.get(test.name, {}):
                net = net or (Bicubic(SCALE) if trial is None else trial.net())
                measured.setdefault(test.name, {})[name] = _means(net, test, degradation)
                folder.mkdir(parents=True, exist_ok=True)
                write_json(path, measured)
    return measured


def _means(net: nn.Module, folder: Path, degradation: Degradation) -> dict[str, dict[str, float]]:
    benchmark = Benchmark.find(folder, scale=SCALE, published_lr=repr(degradation) == repr(BicubicDown(SCALE)))
    scores = evaluate(
        {"net": ready(net)},
        benchmark,
        degradation=degradation,
        device=torch.device("cpu"),
        advance=lambda: None,
    )
    return {protocol: mean_score(list(images.values())).as_dict() for protocol, images in scores["net"].items()}


def costs(trials: Sequence[Trial]) -> dict[str, Costs]:
    """What each job's net costs, all of them measured in one go on this machine's CPU."""
    first = {trial.job: trial for trial in reversed(trials)}
    device = torch.device("cpu")
    return {job: costs_of(ready(first[job].net()), scale=SCALE, device=device, repeats=3) for job in first}


def ready(net: Any) -> nn.Module:
    """The net as it is measured: in evaluation mode, in the memory format in which it is fastest."""
    prepared: nn.Module = net.eval().to(memory_format=torch.channels_last)
    return prepared
