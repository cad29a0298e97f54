"""Jobs on a SLURM cluster, by submitit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from zoomsr.cli.console import say
from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.overrides import LAST
from zoomsr.jobs.launchers import Launcher, train_here
from zoomsr.jobs.process import Output
from zoomsr.runs.directories import unlock
from zoomsr.runs.files import short
from zoomsr.runs.job import Job
from zoomsr.runs.layout import CHECKPOINTS, OUTPUT, STATUS

_NEAR_TIME_LIMIT = "USR2"
"""The signal that SLURM sends before the time limit; on USR1 Lightning would requeue the job too."""
_MAX_POLL_INTERVAL_S = 15


class Slurm(Launcher):
    """A SLURM job for each job, all of a sweep as one array; submitit writes the scripts.

    A job's ranks are SLURM's tasks. A job that is preempted, or near its time limit, is requeued, and resumes from the
    last checkpoint in its directory, which all nodes must see. Ctrl-C ends the waiting only: submitted jobs continue.

    Args:
        devices: of a node; the number of its tasks.
        accelerator: ``cpu`` asks for no GPU.
        num_nodes: of a job.
        folder: for submitit's scripts and logs.
        minutes: time limit.
        cpus_per_task: cores of a rank.
        at_once: jobs of an array that run at the same time.
        partition: where, or None for the cluster's default.
        parameters: further options of sbatch: ``{account: mine, constraint: a100}``.

    Raises:
        ValueError: no number of devices, no submitit, or no SLURM here.
    """

    def __init__(
        self,
        *,
        devices: int | str | list[int],
        accelerator: str,
        num_nodes: int,
        folder: str,
        minutes: int = 1440,
        cpus_per_task: int = 4,
        at_once: int = 64,
        partition: str | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(devices, int) or devices < 1:
            raise ValueError(f"trainer.devices={devices}: launcher=slurm needs the number of devices of a node")
        self._submitit = _submitit()
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise ValueError("launcher=slurm finds no sbatch: start it where SLURM takes jobs, or use launcher=local")
        self._at_once = at_once
        self._folder = Path(folder)
        self._options: dict[str, Any] = {
            "name": "zoomsr",
            "nodes": num_nodes,
            "tasks_per_node": devices,
            "cpus_per_task": cpus_per_task,
            "timeout_min": minutes,
            "slurm_array_parallelism": at_once,
            "slurm_partition": partition,
            "slurm_gpus_per_node": None if accelerator == "cpu" else devices,
            "slurm_srun_args": ["--kill-on-bad-exit=1"],  # else the other ranks would wait for one that has failed
            "slurm_additional_parameters": {
                "requeue": True,
                "signal": f"{_NEAR_TIME_LIMIT}@90",  # seconds before the time limit
                **(parameters or {}),
            },
        }

    @property
    def room(self) -> int:
        """See ``Launcher``."""
        return self._at_once

    def _run(self, jobs: Mapping[Job, str]) -> list[int]:
        ids = self._submit(list(jobs))
        array = ids[0].split("_")[0]
        say({"slurm": f"{len(jobs)} job(s) submitted as {array}; submitit's logs are in {short(self._folder)}"})
        try:
            _wait(ids, [Output(job, label) for job, label in jobs.items()])
        except KeyboardInterrupt:
            say({"slurm": f"{array} runs on; scancel {array} stops it"})
            raise
        for job in jobs:
            job.record(int(job.status().get("exit_code", 1)))  # 1 where it was killed before it could record
        return [int(job.status()["exit_code"]) for job in jobs]

    def _submit(self, jobs: Sequence[Job]) -> list[str]:
        for job in jobs:
            unlock(job.path)  # a node locks it
        executor = self._submitit.AutoExecutor(folder=self._folder, cluster="slurm")
        executor.update_parameters(**{name: value for name, value in self._options.items() if value is not None})
        try:
            return [str(handle.job_id) for handle in executor.map_array(carry_out, [str(job.path) for job in jobs])]
        except self._submitit.core.utils.FailedJobError as error:
            raise ValueError(f"SLURM takes no such job: {error}") from None


def carry_out(path: str) -> None:
    """A SLURM task: a rank of the job in a directory, whose number Lightning reads from SLURM's environment."""
    job, is_first = Job(Path(path)), os.environ["SLURM_PROCID"] == "0"
    with (job.path / OUTPUT).open("a", encoding="utf-8") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    if is_first:
        (job.path / STATUS).unlink(missing_ok=True)
    # Not submitit's handler, which gives up at the third time limit and saves nothing.
    near = signal.Signals[f"SIG{_NEAR_TIME_LIMIT}"]  # by name: Windows has none
    signal.signal(near, partial(_requeue, os.getpid()) if is_first else signal.SIG_IGN)
    code: object = 1
    try:
        with one_line_errors():
            # The lock of a lost node may outlive it on NFS.
            train_here(job, _settings(job), patience=120)
        code = 0
    except SystemExit as end:
        code = end.code
        raise
    finally:
        if is_first:
            job.record(code if isinstance(code, int) else 1)


def _settings(job: Job) -> dict[str, Any]:
    """The frozen settings; a requeued job resumes from its own checkpoint."""
    from zoomsr.training.checkpoint_io import newest_intact

    settings = job.settings()
    if "SLURM_RESTART_COUNT" in os.environ and newest_intact(job.path / CHECKPOINTS) is not None:
        settings |= {"ckpt": LAST, "ckpt_mode": "resume"}
    return settings


def _requeue(process: int, number: int, frame: FrameType | None) -> None:
    """SLURM then sends SIGTERM to all ranks, on which they save, and starts them again."""
    if os.getpid() == process:  # and no fork of it
        subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=False)


def _wait(ids: Sequence[str], outputs: Sequence[Output]) -> None:
    """Until none of the jobs is queued or running; print their output meanwhile.

    By squeue: submitit needs an accounting database, and takes a requeued job for one that has ended.
    """
    pause = 1.0
    is_queued = True
    while is_queued:
        time.sleep(pause)
        pause = min(1.2 * pause, _MAX_POLL_INTERVAL_S)
        is_queued = _is_any_queued(ids)
        for output in outputs:
            output.show()


def _is_any_queued(ids: Sequence[str]) -> bool:
    ask = ["squeue", "--noheader", "--format=%i", f"--jobs={','.join(ids)}"]
    answer = subprocess.run(ask, capture_output=True, encoding="utf-8", check=False)
    if answer.returncode:  # unknown by now, or the controller does not answer at the moment
        return "Invalid job id" not in answer.stderr
    return bool(answer.stdout.strip())


def _submitit() -> Any:
    try:
        import submitit
    except ImportError:
        raise ValueError("launcher=slurm needs an extra: pip install zoomsr[slurm]") from None
    return submitit
