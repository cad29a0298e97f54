"""Jobs on a SLURM cluster, by submitit."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoomsr.jobs import Job
from zoomsr.screen import say, short


class Slurm:
    """One SLURM job for each of ours, all of a sweep as one array; submitit writes the scripts.

    A job's ranks are SLURM's tasks. When a job is preempted or runs into its time limit, SLURM puts it into the queue
    again, and it goes on from the last checkpoint in its directory, which all nodes must see.

    Args:
        devices: of a node; the number of its tasks.
        accelerator: ``cpu`` asks for no GPU.
        num_nodes: of a job.
        minutes: time limit.
        cpus_per_task: cores of a rank.
        at_once: jobs of an array that run at the same time.
        partition: where, or None for the cluster's default.
        parameters: further options of sbatch: ``{account: mine, constraint: a100}``.
        folder: for submitit's scripts and logs.
    """

    def __init__(
        self,
        *,
        devices: int,
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
            raise ValueError(f"trainer.devices={devices}: SLURM needs a number of devices for each node")
        self.room = at_once
        self._folder = Path(folder)
        self._options: dict[str, Any] = {
            "nodes": num_nodes,
            "tasks_per_node": devices,
            "cpus_per_task": cpus_per_task,
            "timeout_min": minutes,
            "slurm_array_parallelism": at_once,
            "slurm_additional_parameters": {"requeue": True, **(parameters or {})},
        }
        if accelerator != "cpu":
            self._options["slurm_gpus_per_node"] = devices
        if partition is not None:
            self._options["slurm_partition"] = partition

    def run_alone(self, job: Job) -> int:
        """See ``Launcher``."""
        return self.run([job])[0]

    def run(self, jobs: Sequence[Job]) -> list[int]:
        """Submit, and wait. Ctrl-C stops the waiting alone: what was submitted runs on."""
        if not jobs:
            return []
        executor = _submitit().AutoExecutor(folder=self._folder, cluster="slurm")
        executor.update_parameters(name="zoomsr", **self._options)
        submitted = executor.map_array(Frozen(), [str(job.path) for job in jobs])
        say({"slurm": f"{len(jobs)} job(s), {submitted[0].job_id} and on; logs in {short(self._folder)}"})
        return [_wait(job, handle) for job, handle in zip(jobs, submitted, strict=True)]


class Frozen:
    """What a SLURM task runs: the job in a directory, from its last checkpoint where there is one."""

    def __call__(self, path: str) -> int:
        """Every task of the job comes here; SLURM has given it its rank."""
        from zoomsr.errors import one_line_errors
        from zoomsr.training import train

        # Lightning would put the job into the queue as well, with a checkpoint of its own; SLURM and submitit do that.
        os.environ["SLURM_JOB_NAME"] = "zoomsr"
        try:
            with one_line_errors():
                train(Job(Path(path)).settings())
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 1
        return 0

    def checkpoint(self, path: str) -> Any:
        """Called before the time limit: put the same job into the queue again."""
        return _submitit().helpers.DelayedSubmission(self, path)


def _wait(job: Job, handle: Any) -> int:
    try:
        results = handle.results()
    except _submitit().core.utils.UncompletedJobError as error:
        print(f"error: {' '.join(str(error).split())[:400]}", file=sys.stderr)
        results = [1]
    code = next((code for code in results if code), 0)
    job.record(code)
    return int(code)


def _submitit() -> Any:
    try:
        import submitit
    except ImportError:
        raise ValueError("launcher=slurm needs an extra: pip install zoomsr[slurm]") from None
    return submitit
