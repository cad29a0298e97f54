"""Where jobs run: on this machine, on SLURM, on a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from zoomsr.cli.console import said_logs
from zoomsr.cli.overrides import is_first_rank
from zoomsr.runs.directories import lock, locks_end
from zoomsr.runs.job import Job


class Launcher(Protocol):
    """Runs jobs, several at once where there is room."""

    @property
    def room(self) -> int:
        """How many jobs run at once: what a search asks for at a time."""
        ...

    def run(self, jobs: Sequence[Job]) -> list[int]:
        """Run all of them, whatever becomes of each; their exit codes, in order. Each is recorded in its job."""
        ...

    def run_alone(self, job: Job) -> int:
        """Run a job that is no part of a sweep, and show what it says as it is; its exit code."""
        ...


def train_here(job: Job, settings: Mapping[str, Any], *, patience: float = 0) -> None:
    """Train in this process, a rank of the job, with the job's directory locked.

    Args:
        job: whose directory it is.
        settings: what to train, as ``zoomsr.training.recipe.train`` takes it.
        patience: seconds to wait for another process that is about to leave the directory.

    Raises:
        ValueError: another process trains there.
    """
    with locks_end(), said_logs():
        if is_first_rank():
            lock(job.path, patience=patience)
        from zoomsr.training.recipe import train  # heavy: the command line and the lock come first

        train(settings)
