"""Run a study: ``make study S=unet_ablation``. What it compares stands in ``experiments/NAME/study.yaml``."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

EXPERIMENTS = Path(__file__).parent
STUDIES = sorted(path.parent.name for path in EXPERIMENTS.glob("*/study.yaml"))


@dataclass(frozen=True)
class Trial:
    """One training of a study.

    Attributes:
        job: its name in the study.
        seed: of the run.
        overrides: of ``zoomsr.train``.
        folder: the run's directory.
    """

    job: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path

    @property
    def is_finished(self) -> bool:
        """Whether its final scores are there."""
        return (self.folder / "metrics.json").is_file()

    def run(self) -> int:
        """Train, or go on where it was stopped; the exit code."""
        last = self.folder / "checkpoints" / "last.ckpt"
        goes_on = [f"ckpt={self.folder}"] if last.is_file() else []
        command = [sys.executable, "-m", "zoomsr.train", *self.overrides, f"hydra.run.dir={self.folder}", *goes_on]
        print("$", shlex.join(command[1:]), flush=True)
        return subprocess.run(command, check=False).returncode


@dataclass(frozen=True)
class Study:
    """What ``study.yaml`` says.

    Attributes:
        name: of its folder.
        common: overrides of every job.
        jobs: name to the overrides in which it differs.
        seeds: with which every job is run.
        test_degradations: name to a choice of ``conf/degradation``; what every net is tested on.
    """

    name: str
    common: tuple[str, ...]
    jobs: dict[str, list[str]]
    seeds: tuple[int, ...]
    test_degradations: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def read(name: str) -> Study:
        """Read a study by its name.

        Raises:
            ValueError: there is none of that name.
        """
        if name not in STUDIES:
            raise ValueError(f"no study is called {name!r}; there are: {', '.join(STUDIES)}")
        data: dict[str, Any] = yaml.safe_load((EXPERIMENTS / name / "study.yaml").read_text())
        data["common"], data["seeds"] = tuple(data["common"]), tuple(data["seeds"])
        return Study(name=name, **data)

    def trials(self, runs: Path, data: list[str]) -> list[Trial]:
        """Every training, all jobs with the first seed first.

        Args:
            runs: the folder of all studies' runs.
            data: overrides that choose the photographs; a job that chooses its own does without them.
        """
        return [
            Trial(job, seed, (*self._data(own, data), *self.common, *own, f"seed={seed}"), self._folder(runs, job, seed))
            for seed in self.seeds
            for job, own in self.jobs.items()
        ]

    def _data(self, own: list[str], data: list[str]) -> list[str]:
        return [] if any(text.startswith("data=") for text in own) else data

    def _folder(self, runs: Path, job: str, seed: int) -> Path:
        slug = re.sub(r"\W+", "_", job).strip("_")
        return (runs / self.name / f"{slug}_seed{seed}").absolute()
