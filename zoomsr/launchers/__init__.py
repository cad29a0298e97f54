"""Where jobs run: on this machine, on SLURM, on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zoomsr.jobs import Job


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
