"""Sweeps: jobs frozen, run where scores are missing, and ranked in one table. ``hydra_plugins`` calls it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoomsr.cli.console import CONSOLE, say, score_table
from zoomsr.cli.overrides import LAST
from zoomsr.jobs.launchers import Launcher
from zoomsr.runs.files import short
from zoomsr.runs.job import STOPPED, Job
from zoomsr.runs.layout import HYDRA, OUTPUT
from zoomsr.runs.run import UNRANKED, Run, labels
from zoomsr.runs.trust import HYDRAS, sign


def freeze(settings: Mapping[str, Any]) -> Job:
    """The job with these settings; a finished one is left as it is, an unfinished one resumes."""
    job = Job(Path(settings["run_dir"]))
    if not job.is_finished:
        job = Job.freeze({**settings, "ckpt": settings["ckpt"] or LAST})
    sign(job.path, HYDRAS)  # Hydra has written them anew
    return job


def run(jobs: Sequence[Job], launcher: Launcher, *, known: Sequence[Job], folder: Path, resume: str | None) -> int:
    """Run every job that has no scores yet, and print the table of all known ones.

    A job that crashes stops no other. One that was interrupted resumes from its last checkpoint.

    Args:
        jobs: to run.
        launcher: where.
        known: of the sweep so far, these included.
        folder: of the sweep.
        resume: the argument that resumes the sweep; None where it cannot be resumed.

    Returns:
        The exit code, as of ``report``.
    """
    missing = [job for job in jobs if not job.is_finished]
    if len(missing) < len(jobs):
        say({"sweep": f"{len(jobs) - len(missing)} of {len(jobs)} jobs are finished already"})
    launcher.run(missing)
    return report(known, folder, again=resume and shlex.join(["python", "-m", "zoomsr.train", resume]))


def metric(job: Job) -> float | None:
    """The best value of the setting ``monitor`` over the epochs; None where nothing was trained or validated."""
    settings = job.settings()
    values = [row[settings["monitor"]] for row in Run.read(job.path).epochs if settings["monitor"] in row]
    return (max if settings["monitor_mode"] == "max" else min)(values, default=None)


def report(jobs: Sequence[Job], folder: Path, *, again: str | None) -> int:
    """Print the table, and the state of each job that is not in it.

    Args:
        jobs: of a sweep or a search.
        folder: theirs.
        again: the command that runs the missing ones, if there is one.

    Returns:
        The exit code: 0 when every job is finished or pruned.
    """
    statuses = {job: job.status() for job in jobs}
    # Unfinished ones too: a job's name is that in which it differs from all others.
    runs = [Run.read(job.path) for job in jobs if (job.path / HYDRA).is_dir()]
    if rows := ranking(runs):
        CONSOLE.print(score_table(f"{short(folder)}: validation images, ranked", rows))
    for run in runs:
        if run.results is not None and UNRANKED in run.results:
            say({"debug": f"{run.path.name}  not ranked  {run.results[UNRANKED]}"})
    lacking = {job: status for job, status in statuses.items() if not job.is_finished}
    for job, status in lacking.items():
        log = job.path / OUTPUT
        why = status.get("error") or ("the search gave it up" if status["state"] == "pruned" else "")
        say({str(status["state"]): f"{job.path.name}  {why}  {short(log) if log.is_file() else ''}".rstrip()})
    if all(status["state"] == "pruned" for status in lacking.values()):
        return 0
    if again is not None:
        say({"next": f"{again} runs what is missing"})
    return STOPPED[0] if any(status.get("exit_code") in STOPPED for status in lacking.values()) else 1


def ranking(runs: list[Run]) -> dict[str, dict[str, float]]:
    """Job to mean metrics: bicubic first, then the jobs by falling PSNR on Y.

    A job's name is the overrides in which it differs from the others: ``vdsr``, or ``vdsr loss=mse``.
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
    """Up to the last bits, which depend on a net's memory layout."""
    return all(math.isclose(value, other[name], rel_tol=1e-6, abs_tol=1e-9) for name, value in row.items())
