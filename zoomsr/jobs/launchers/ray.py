"""Jobs on a Ray cluster, scheduled by its cores and GPUs."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, TimeoutError  # Python 3.10 has two of them
from pathlib import Path
from typing import Any

from zoomsr.cli.console import say
from zoomsr.cli.overrides import LAST
from zoomsr.jobs.launchers import Launcher
from zoomsr.jobs.process import JobProcess, Output
from zoomsr.runs.directories import unlock
from zoomsr.runs.job import STOPPED, Job
from zoomsr.runs.layout import CHECKPOINTS, LAST_CKPT, OUTPUT, PREVIOUS_CKPT, SETTINGS


class Ray(Launcher):
    """A Ray task for each job, with the devices that it needs on one node; all nodes see its directory.

    A job whose node is lost runs again, from its last checkpoint. Ctrl-C and SIGTERM stop the jobs, which save.

    Args:
        devices: of a job.
        accelerator: ``cpu`` asks for no GPU.
        num_nodes: of a job: 1, because Ray schedules jobs here, not their ranks.
        address: of the cluster; None starts one on this machine, ``auto`` finds the one that runs here.
        cpus: cores of a job.
        retries: after the loss of a node.

    Raises:
        ValueError: no number of devices, several nodes, or no Ray.
    """

    def __init__(
        self,
        *,
        devices: int | str | list[int],
        accelerator: str,
        num_nodes: int = 1,
        address: str | None = None,
        cpus: int = 4,
        retries: int = 3,
    ) -> None:
        if num_nodes != 1:
            raise ValueError(f"trainer.num_nodes={num_nodes}: launcher=ray gives a job one node; use launcher=slurm")
        if not isinstance(devices, int) or devices < 1:
            raise ValueError(f"trainer.devices={devices}: launcher=ray needs the number of devices of a job")
        self._ray = _ray()
        self._address = address
        self._needs = {"CPU": cpus, "GPU": 0 if accelerator == "cpu" else devices}
        self._retries = retries

    @property
    def room(self) -> int:
        """See ``Launcher``: jobs that fit into the cluster now."""
        self._connect()
        total = self._ray.cluster_resources()
        return max(1, min(int(total.get(name, 0) // need) for name, need in self._needs.items() if need))

    def _run(self, jobs: Mapping[Job, str]) -> list[int]:
        self._connect()
        outputs = [Output(job, label) for job, label in jobs.items()]
        for job in jobs:
            unlock(job.path)  # a node locks it
        task = self._ray.remote(num_cpus=self._needs["CPU"], num_gpus=self._needs["GPU"], max_retries=self._retries)(
            carry_out
        )
        handles = [task.remote(job, Path.cwd()) for job in jobs]
        try:
            self._wait(handles, outputs)
        except KeyboardInterrupt:
            for handle in handles:
                self._ray.cancel(handle)
            self._wait(handles, outputs)
        return [self._code(job, handle) for job, handle in zip(jobs, handles, strict=True)]

    def _wait(self, handles: Sequence[Any], outputs: Sequence[Output]) -> None:
        """Until all have ended; print their output meanwhile."""
        running = list(handles)
        while running:
            _, running = self._ray.wait(running, num_returns=len(running), timeout=1)
            for output in outputs:
                output.show()

    def _code(self, job: Job, handle: Any) -> int:
        try:
            return int(self._ray.get(handle))
        except self._ray.exceptions.TaskCancelledError:
            return int(job.status().get("exit_code", STOPPED[0]))  # none: it was not started
        except self._ray.exceptions.RayError as error:
            with (job.path / OUTPUT).open("a", encoding="utf-8") as log:
                log.write(f"error: Ray: {' '.join(str(error).split())}\n")
            job.record(1)
            return 1

    def _connect(self) -> None:
        if self._ray.is_initialized():
            return
        self._ray.init(
            address=self._address or "local",
            include_dashboard=False if self._address is None else None,
            log_to_driver=False,  # the jobs' own logs are printed, complete and in order
            logging_level=logging.ERROR,
        )
        for number in (signal.SIGINT, signal.SIGTERM):  # in place of Ray's handler, which aborts
            signal.signal(number, signal.default_int_handler)
        nodes = [node["Resources"] for node in self._ray.nodes()]
        say({"ray": f"{self._ray.cluster_resources().get('CPU', 0):g} cores in {len(nodes)} node(s)"})
        for name, need in self._needs.items():
            most = max(node.get(name, 0) for node in nodes)
            if need > most and self._address is None:  # a cluster may still grow
                setting = "launcher.cpus" if name == "CPU" else "trainer.devices"
                raise ValueError(f"{setting}={need}, but Ray finds {most:g} {name}(s) on this machine")


def carry_out(job: Job, place: Path) -> int:
    """The Ray task: a process of its own, so that its ranks are started from a clean environment.

    Args:
        job: frozen; where its node was lost before, it resumes from its own last checkpoint.
        place: the user's working directory, to which paths in settings are relative.

    Returns:
        The exit code, which is recorded.
    """
    os.chdir(place)
    # Ray cancels by an interrupt, which has no effect where the user's shell has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    frozen = (job.path / SETTINGS).stat().st_mtime
    saved = [path for name in (LAST_CKPT, PREVIOUS_CKPT) if (path := job.path / CHECKPOINTS / name).is_file()]
    if any(path.stat().st_mtime > frozen for path in saved):
        Job.freeze(job.settings() | {"ckpt": LAST, "ckpt_mode": "resume"})
    process = JobProcess(job, environment={}, label="")
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(process.wait)
        while True:
            try:
                return ended.result(timeout=1)
            except TimeoutError:  # between the waits an interrupt arrives
                continue
            except KeyboardInterrupt:  # Ray cancels; it blocks SIGINT itself, in its children too
                process.signal(signal.SIGTERM)


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it sends usage statistics
    try:
        import ray
    except ImportError:
        raise ValueError("launcher=ray needs an extra: pip install zoomsr[ray]") from None
    return ray
