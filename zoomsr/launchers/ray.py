"""Jobs on a Ray cluster, scheduled by its GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoomsr.jobs import STOPPED, Job, Process
from zoomsr.screen import say


class Ray:
    """One Ray task for each job, which holds the devices that it needs on one node; all nodes see its directory.

    A job whose node is lost is run again, and goes on from its last checkpoint.

    Args:
        devices: of a job.
        accelerator: ``cpu`` asks for no GPU.
        num_nodes: of a job: 1, because Ray schedules jobs here, not their ranks.
        address: of the cluster; None starts one on this machine, ``auto`` finds the one that runs here.
        cpus: cores of a job.
        retries: after the loss of a node.
    """

    def __init__(
        self,
        *,
        devices: int,
        accelerator: str,
        num_nodes: int = 1,
        address: str | None = None,
        cpus: int = 4,
        retries: int = 3,
    ) -> None:
        if num_nodes != 1:
            raise ValueError(f"trainer.num_nodes={num_nodes}: launcher=ray gives a job one node; use launcher=slurm")
        if not isinstance(devices, int) or devices < 1:
            raise ValueError(f"trainer.devices={devices}: Ray needs the number of devices of a job")
        self._address = address
        self._needs = {"num_cpus": cpus, "num_gpus": 0 if accelerator == "cpu" else devices}
        self._retries = retries

    @property
    def room(self) -> int:
        """See ``Launcher``: jobs that fit into the cluster as it is now."""
        total = self._connected().cluster_resources()
        fits = [total.get(name, 0) // need for name, need in self._wanted().items() if need]
        return max(1, int(min(fits, default=1)))

    def run_alone(self, job: Job) -> int:
        """See ``Launcher``."""
        return self.run([job])[0]

    def run(self, jobs: Sequence[Job]) -> list[int]:
        """See ``Launcher``. Ctrl-C stops the jobs, which save where they are."""
        ray = self._connected()
        task = ray.remote(max_retries=self._retries, **self._needs)(carry_out)
        handles = [task.remote(job) for job in jobs]
        try:
            codes = [_result(ray, handle) for handle in handles]
        except KeyboardInterrupt:
            for handle in handles:
                ray.cancel(handle)  # an interrupt in the task
            codes = [STOPPED[0]] * len(jobs)
        for job, code in zip(jobs, codes, strict=True):
            job.record(code)
        return codes

    def _wanted(self) -> dict[str, float]:
        return {"CPU": self._needs["num_cpus"], "GPU": self._needs["num_gpus"]}

    def _connected(self) -> Any:
        ray = _ray()
        if not ray.is_initialized():
            ray.init(address=self._address, log_to_driver=True, include_dashboard=False)
            say({"ray": f"{ray.cluster_resources().get('CPU', 0):g} cores in {len(ray.nodes())} node(s)"})
        return ray


def carry_out(job: Job) -> int:
    """The Ray task: a process of its own, so that its ranks are started from a clean environment."""
    return Process(job, environment={}, label=f"[{job.path.name}] ").wait()


def _result(ray: Any, handle: Any) -> int:
    try:
        return int(ray.get(handle))
    except ray.exceptions.RayError as error:
        print(f"error: {' '.join(str(error).split())[:400]}")
        return 1


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ValueError("launcher=ray needs an extra: pip install zoomsr[ray]") from None
    return ray
