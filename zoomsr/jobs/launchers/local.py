"""Jobs on this machine, each with devices of its own."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import takewhile
from types import FrameType

from zoomsr.hardware.processor import n_cores
from zoomsr.jobs.launchers import Launcher, train_here
from zoomsr.jobs.process import JobProcess
from zoomsr.runs.job import STOPPED, Job, stop_signals

_VISIBLE = "CUDA_VISIBLE_DEVICES"


class Local(Launcher):
    """Processes of this machine.

    Args:
        devices: GPUs that a job uses; ``auto`` or -1 for all, a list for these.
        num_nodes: of a job: 1, because this is one machine.
        accelerator: ``cpu`` ignores GPUs.
        slots: jobs at once; None for as many as the GPUs hold, and one on a CPU. More share the GPUs.
        gpus: as CUDA_VISIBLE_DEVICES names them; None for all of the machine.
    """

    def __init__(
        self,
        *,
        devices: int | str | list[int],
        num_nodes: int = 1,
        accelerator: str = "auto",
        slots: int | None = None,
        gpus: list[str] | None = None,
    ) -> None:
        if num_nodes != 1:
            advice = "start the command on every node with torchrun, or let SLURM do it with launcher=slurm"
            raise ValueError(f"trainer.num_nodes={num_nodes}, and this is one machine: {advice}")
        if slots is not None and slots < 1:
            raise ValueError(f"launcher.slots {slots} must be at least 1")
        found = _gpus() if gpus is None and accelerator != "cpu" else [str(gpu) for gpu in gpus or []]
        self._shares = _shares(found, devices, slots)
        self._has_ranks = devices not in (1, "1") and not (devices in ("auto", -1, "-1") and len(found) < 2)
        self._stopping = threading.Event()
        self._running: set[JobProcess] = set()

    @property
    def room(self) -> int:
        """See ``Launcher``."""
        return len(self._shares)

    def run_alone(self, job: Job) -> int:
        """See ``Launcher``: in this process where there is one device, and so no ranks to start."""
        if self._has_ranks:
            with _signals_to(self._stop):
                return self._run_one(job, {}, label=None)
        train_here(job, job.settings())
        return 0

    def _run(self, jobs: Mapping[Job, str]) -> list[int]:
        """A signal that stops is passed on: the running jobs save their state, and no other is started."""
        free: queue.Queue[dict[str, str]] = queue.Queue()
        for share in self._shares:
            free.put(share)

        def run(job: Job) -> int:
            share = free.get()
            try:
                return self._run_one(job, share, label=jobs[job])
            finally:
                free.put(share)

        with _signals_to(self._stop), ThreadPoolExecutor(self.room) as pool:
            return list(pool.map(run, jobs))

    def _run_one(self, job: Job, share: dict[str, str], *, label: str | None) -> int:
        if self._stopping.is_set():
            return STOPPED[0]
        process = JobProcess(job, environment=share, label=label)
        self._running.add(process)
        try:
            return process.wait()
        finally:
            self._running.discard(process)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()
        for process in list(self._running):
            process.signal(number)


def _shares(gpus: list[str], devices: int | str | list[int], slots: int | None) -> list[dict[str, str]]:
    """The environment of each slot: its GPUs, and its number of threads."""
    if isinstance(devices, list) or not gpus:
        # Devices given by number are numbers among all GPUs; without GPUs only cores are shared.
        return [_threads(slots or 1)] * (slots or 1)
    each = len(gpus) if devices in ("auto", -1, "-1") else int(devices)
    if each > len(gpus):
        raise ValueError(f"trainer.devices={devices}, but there are {len(gpus)} GPUs: {','.join(gpus)}")
    starts = range(0, len(gpus) - each + 1, each)
    groups = [{_VISIBLE: ",".join(gpus[start : start + each])} for start in starts]
    n_slots = slots or len(groups)
    return [groups[number % len(groups)] | _threads(n_slots) for number in range(n_slots)]


def _threads(n_slots: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(max(1, n_cores() // n_slots))} if n_slots > 1 else {}


def _gpus() -> list[str]:
    visible = os.environ.get(_VISIBLE)
    if visible is not None:
        # As CUDA: names count up to the first invalid one, such as -1.
        return list(takewhile(lambda name: name.strip() not in ("", "-1"), visible.split(",")))
    import torch  # late: it is heavy

    return [str(number) for number in range(torch.cuda.device_count())]


@contextmanager
def _signals_to(handler: signal.Handlers | object) -> Iterator[None]:
    """Handle the signals that stop a job; Python allows it in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in stop_signals()}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
