"""A study as ``study.yaml`` says it, and its trainings."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from experiments.ircnn_bank.collect import bank
from zoomsr.models import Net
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.job import Job

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
        """Whether it is made of several runs."""
        return _SWEEP in self.overrides

    @property
    def runs(self) -> list[Path]:
        """The directories of its runs."""
        return sorted(path.parent for path in self.folder.glob("*/.hydra")) if self.is_sweep else [self.folder]

    @property
    def is_finished(self) -> bool:
        """Whether the final scores of all its runs are there."""
        return bool(self.runs) and all(Job(run).is_finished for run in self.runs)

    def run(self) -> int:
        """Train, or go on where it was stopped; the exit code."""
        command = [sys.executable, "-m", "zoomsr.train", *self._arguments()]
        print("$", shlex.join(command[1:]), flush=True)
        return subprocess.run(command, check=False).returncode

    def net(self) -> Net:
        """The trained net, on the CPU."""
        if self.is_sweep:
            return bank(self.folder)
        return Weights.read(self.folder / "checkpoints" / "best.ckpt").build()  # type: ignore[return-value]

    def _arguments(self) -> list[str]:
        if self.is_sweep:
            begun = (self.folder / "multirun.yaml").is_file()
            return [f"sweep_resume={self.folder}"] if begun else [*self.overrides, f"hydra.sweep.dir={self.folder}"]
        begun = Job(self.folder).exists
        return [*self.overrides, f"hydra.run.dir={self.folder}", *(["ckpt=last"] if begun else [])]


@dataclass(frozen=True)
class Study:
    """What ``study.yaml`` says.

    Attributes:
        name: of its folder.
        common: overrides of every job but those that name an experiment.
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
            data: overrides that choose the photographs; a job that chooses its own does without them.
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
