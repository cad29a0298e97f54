"""A study as ``study.yaml`` states it, and its trainings and evaluations."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from experiments.ircnn_bank.collect import bank, settings
from zoomsr.cli.overrides import quoted
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import sha256_of
from zoomsr.runs.job import Job
from zoomsr.runs.layout import HYDRA, METRICS_JSON, MULTIRUN, best_checkpoint
from zoomsr.runs.run import Run

EXPERIMENTS = Path(__file__).parent
STUDIES = sorted(path.parent.name for path in EXPERIMENTS.glob("*/study.yaml"))
_SWEEP = "-m"


@dataclass(frozen=True)
class Trial:
    """One training of a study, or a sweep where its overrides hold ``-m``: the denoisers of one IRCNN.

    Attributes:
        job: its name in the study.
        seed: of the run.
        overrides: of ``zoomsr.train``.
        folder: the run's directory, or the sweep's.
    """

    job: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path

    @property
    def is_sweep(self) -> bool:
        """Whether it consists of several runs."""
        return _SWEEP in self.overrides

    @property
    def runs(self) -> list[Run]:
        """Its runs, as far as they have begun."""
        places = sorted(path.parent for path in self.folder.glob(f"*/{HYDRA}")) if self.is_sweep else [self.folder]
        return [Run.read(place) for place in places if (place / HYDRA).is_dir()]

    @property
    def is_finished(self) -> bool:
        """Whether all its runs have their final scores."""
        runs = self.runs
        return bool(runs) and all(run.results is not None for run in runs)

    def train(self) -> int:
        """Train, or resume; return the exit code."""
        return _run("zoomsr.train", *self._arguments())

    def weights(self) -> Path:
        """The file of the trained net; that of a sweep's denoisers is made first."""
        if not self.is_sweep:
            return best_checkpoint(self.folder)
        path = self.folder / "bank.safetensors"
        if not path.is_file():
            net = bank(self.folder)
            Weights(path, net.state_dict(), settings(net)).save(path)
        return path

    def evaluate(self, folders: Sequence[Path], degradation: str) -> Path:
        """The directory of the net's evaluation on benchmark folders; made where there is none of these and this net.

        Raises:
            ValueError: the evaluation failed.
        """
        place = self.folder.parent / "evaluations" / f"{self.folder.name}_{degradation}"
        path, weights = place / METRICS_JSON, self.weights()
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"sets": {}}
        has_all = known["sets"].keys() >= {folder.name for folder in folders}
        if not has_all or known["net"]["weights"]["sha256"] != sha256_of(weights):
            data = f"data_dir=[{','.join(quoted(str(folder)) for folder in folders)}]"
            files = [f"ckpt={quoted(str(weights))}", f"hydra.run.dir={quoted(str(place))}", "overwrite=true"]
            if _run("zoomsr.evaluate", data, *files, f"degradation={degradation}", "device=cpu"):
                raise ValueError(f"{self.folder} could not be evaluated")
        return place

    def _arguments(self) -> list[str]:
        place = quoted(str(self.folder))
        if self.is_sweep:
            begun = (self.folder / MULTIRUN).is_file()
            return [f"sweep_resume={place}"] if begun else [*self.overrides, f"hydra.sweep.dir={place}"]
        begun = Job(self.folder).exists
        return [*self.overrides, f"hydra.run.dir={place}", *(["ckpt=last"] if begun else [])]


@dataclass(frozen=True)
class Study:
    """What ``study.yaml`` states.

    Attributes:
        name: of its folder.
        common: overrides of every job, apart from keys that the job sets itself.
        jobs: name to the overrides in which it differs.
        seeds: with which every job is run.
        test_degradations: choices of ``conf/degradation`` on which every net is tested.
    """

    name: str
    common: tuple[str, ...]
    jobs: dict[str, list[str]]
    seeds: tuple[int, ...]
    test_degradations: tuple[str, ...] = field(default=("bicubic",))

    @staticmethod
    def read(name: str) -> Study:
        """Read a study by its name.

        Raises:
            ValueError: there is none of that name.
        """
        if name not in STUDIES:
            raise ValueError(f"no study is called {name!r}; there are: {', '.join(STUDIES)}")
        data: dict[str, Any] = yaml.safe_load((EXPERIMENTS / name / "study.yaml").read_text(encoding="utf-8"))
        lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
        return Study(name=name, jobs=data["jobs"], **lists)

    def trials(self, runs: Path, *, data: Sequence[str]) -> list[Trial]:
        """Every training, all jobs with the first seed first.

        Args:
            runs: the folder of all studies' runs.
            data: overrides that choose the training images; a job with its own ``data=`` ignores them.
        """
        return [
            Trial(job, seed, self._overrides(own, data, seed), (runs / self.name / _slug(job, seed)).absolute())
            for seed in self.seeds
            for job, own in self.jobs.items()
        ]

    def _overrides(self, own: Sequence[str], data: Sequence[str], seed: int) -> tuple[str, ...]:
        has_data = any(text.startswith("data=") for text in own)
        given = [text.split("=")[0] for text in own]
        common = [text for text in self.common if text.split("=")[0] not in given]
        return (*(() if has_data else data), *common, *own, f"seed={seed}")


def _slug(job: str, seed: int) -> str:
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', job).strip('_')}_seed{seed}"


def _run(module: str, *arguments: str) -> int:
    command = ["-m", module, *arguments]
    print("$", shlex.join(command), flush=True)
    return subprocess.run([sys.executable, *command], check=False).returncode
