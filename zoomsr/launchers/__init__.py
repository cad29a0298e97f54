"""Where jobs run: on this machine, on SLURM, on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zoomsr.jobs import Job


class Launcher(Protocol):
    """Runs jobs, several at once where there is room."""

    @property
    def runs_here(self) -> bool:
        """Whether a single job, which is no part of a sweep, may run in the process that asks."""
        ...

    @property
    def room(self) -> int:
        """How many jobs run at once: what a search asks for at a time."""
        ...

    def run(self, jobs: Sequence[Job]) -> list[int]:
        """Run all of them, whatever becomes of each; their exit codes, in order. Each is recorded in its job."""
        ...
