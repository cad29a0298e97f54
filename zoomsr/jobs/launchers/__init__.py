"""Where jobs run: on this machine, on SLURM, on a Ray cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from zoomsr.cli.console import said_logs
from zoomsr.cli.overrides import is_first_rank
from zoomsr.runs.directories import lock, locks_end
from zoomsr.runs.job import Job


class Launcher(ABC):
    """Runs jobs, several at once where there is room; how each ended is recorded in its directory."""

    @property
    @abstractmethod
    def room(self) -> int:
        """How many jobs run at once."""

    def run(self, jobs: Sequence[Job]) -> list[int]:
        """Run all jobs and print their output, marked by their names; their exit codes. A failure stops no other."""
        return self._run({job: f"[{job.path.name}] " for job in jobs}) if jobs else []

    def run_alone(self, job: Job) -> int:
        """Run a job that is no part of a sweep, and print its output as it is; its exit code."""
        return self._run({job: ""})[0]

    @abstractmethod
    def _run(self, jobs: Mapping[Job, str]) -> list[int]:
        """Run all jobs, each with the label of its output; their exit codes."""


def train_here(job: Job, settings: Mapping[str, Any], *, patience: float = 0) -> None:
    """Train in this process, a rank of the job, with the job's directory locked.

    Args:
        job: whose directory it is.
        settings: what to train, as ``zoomsr.training.recipe.train`` takes it.
        patience: seconds to wait for the lock of another process that is about to end.

    Raises:
        ValueError: another process trains there.
    """
    with locks_end(), said_logs():
        if is_first_rank():
            lock(job.path, patience=patience)
        from zoomsr.training.batch_size import with_fitting_batch  # heavy: the command line and the lock come first
        from zoomsr.training.recipe import train

        found = with_fitting_batch(settings)
        if found != settings:
            Job.freeze(found)  # for a resume
        train(found)
