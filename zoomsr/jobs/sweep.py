"""Many jobs: those that are missing are run, and one table says what came out."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoomsr.cli.console import CONSOLE, say, score_table
from zoomsr.jobs.launchers import Launcher
from zoomsr.runs.files import short
from zoomsr.runs.job import STOPPED, Job
from zoomsr.runs.layout import HYDRA, OUTPUT
from zoomsr.runs.run import Run, labels


def finish(jobs: Sequence[Job], launcher: Launcher, *, sweep_dir: Path) -> None:
    """Run every job that has no scores yet, print the table, and exit with 1 when a job has none in the end.

    A job that crashes stops no other. One that was interrupted goes on from its last checkpoint.
    """
    missing = [job for job in jobs if not job.is_finished]
    if len(missing) < len(jobs):
        say({"sweep": f"{len(jobs) - len(missing)} of {len(jobs)} jobs are finished already"})
    launcher.run(missing)
    if code := report(
        jobs, sweep_dir, again=shlex.join(["python", "-m", "zoomsr.train", f"sweep_resume={short(sweep_dir)}"])
    ):
        sys.exit(code)


def report(jobs: Sequence[Job], folder: Path, *, again: str) -> int:
    """Print the table, and what became of each job that is not in it.

    Args:
        jobs: of a sweep or a search.
        folder: theirs.
        again: the command that runs what is missing.

    Returns:
        The exit code: 0 when every job is finished, or given up by a search.
    """
    statuses = {job: job.status() for job in jobs}
    _print_table(jobs, folder)
    lacking = {job: status for job, status in statuses.items() if not job.is_finished}
    for job, status in lacking.items():
        log = job.path / OUTPUT
        why = status.get("error") or ("the search gave it up" if status["state"] == "pruned" else "")
        say({str(status["state"]): f"{job.path.name}  {why}  {short(log) if log.is_file() else ''}".rstrip()})
    if all(status["state"] == "pruned" for status in lacking.values()):
        return 0
    say({"next": f"{again} runs what is missing"})
    return STOPPED[0] if any(status.get("exit_code") in STOPPED for status in lacking.values()) else 1


def _print_table(jobs: Sequence[Job], sweep_dir: Path) -> None:
    # Unfinished ones too: a job's name is that in which it differs from all others.
    rows = ranking([Run.read(job.path) for job in jobs if (job.path / HYDRA).is_dir()])
    if rows:
        CONSOLE.print(score_table(f"{short(sweep_dir)}: held-out photographs, ranked", rows))


def ranking(runs: list[Run]) -> dict[str, dict[str, float]]:
    """Job to mean metrics: bicubic, which every run measures, then the jobs by falling PSNR on Y.

    A job is called by the overrides in which it differs from the others: ``vdsr``, or ``vdsr loss=mse``.
    """
    bicubic: dict[str, dict[str, float]] = {}
    jobs: dict[str, dict[str, float]] = {}
    for run, label in zip(runs, labels([run.overrides for run in runs]), strict=True):
        for net, row in run.means().items():
            if net != "bicubic":
                name = label or net
                jobs[name if name not in jobs else f"{name} ({run.path.name})"] = row
            elif not any(_same(row, known) for known in bicubic.values()):  # jobs differ in data or degradation
                bicubic[f"bicubic {label}" if bicubic else net] = row
    return bicubic | dict(sorted(jobs.items(), key=lambda item: -item[1]["psnr_y"]))


def _same(row: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Up to the last bits, in which the memory layout that a net prefers shows."""
    return all(math.isclose(value, other[name], rel_tol=1e-6, abs_tol=1e-9) for name, value in row.items())
