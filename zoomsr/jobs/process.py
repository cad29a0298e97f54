"""The process of a job, and its output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import TextIO

from zoomsr.cli.console import CONSOLE, printable
from zoomsr.runs.directories import unlock
from zoomsr.runs.job import Job
from zoomsr.runs.layout import OUTPUT

# Set by an outer launcher for its own ranks; a job must not inherit them.
_RANKS = {
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "PL_GLOBAL_SEED"),
}


class JobProcess:
    """A job in a process of its own, with its own process group and ranks.

    It ends with this process, however that ends: its standard input is a pipe from this one.

    Args:
        job: what to run.
        environment: added to this process's: visible devices, number of threads.
        label: before each of its lines on the screen; None lets it write to the screen itself.
    """

    def __init__(self, job: Job, *, environment: Mapping[str, str], label: str | None) -> None:
        inherited = {key: value for key, value in os.environ.items() if key not in _RANKS}
        piped = label is not None
        if piped:  # both ends use the screen's encoding
            inherited["PYTHONIOENCODING"] = f"{CONSOLE.encoding}:backslashreplace"
        unlock(job.path)  # the job itself locks it
        self._process = subprocess.Popen(
            [sys.executable, "-m", "zoomsr.jobs", str(job.path), "--child"],
            env={**inherited, **environment},
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if piped else None,
            stderr=subprocess.STDOUT if piped else None,
            encoding=CONSOLE.encoding if piped else None,
            errors="replace" if piped else None,
        )
        self._job = job
        self._reader = threading.Thread(target=self._copy, args=(label,), daemon=True)
        if piped:
            self._reader.start()

    def wait(self) -> int:
        """Wait for its end, record and return the exit code, and end ranks that are left."""
        code = self._process.wait()
        if hasattr(os, "killpg"):
            self.signal(signal.SIGKILL)
        elif self._process.stdin is not None:  # Windows: they end when nobody holds their standard input open
            self._process.stdin.close()
        if self._reader.ident is not None:
            self._reader.join()
        self._job.record(code)
        return code

    def signal(self, number: int) -> None:
        """Send a signal to all its ranks. On Windows Ctrl-C reaches every process of the console by itself."""
        if not hasattr(os, "killpg"):
            return
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def _copy(self, label: str) -> None:
        """Copy its lines into ``output.log`` and, with the label, to the screen."""
        stream: TextIO = self._process.stdout  # type: ignore[assignment]  # piped, and text
        with (self._job.path / OUTPUT).open("a", encoding="utf-8") as log:
            for line in stream:
                log.write(line)
                log.flush()
                print(printable(f"{label}{line}"), end="", flush=True)


class Output:
    """Follows a job's ``output.log``.

    Args:
        job: whose lines from now on are printed.
        label: before each of them.
    """

    def __init__(self, job: Job, label: str) -> None:
        self._path = job.path / OUTPUT
        self._label = label
        self._seen = self._path.stat().st_size if self._path.is_file() else 0

    def show(self) -> None:
        """Print the new complete lines."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            file.seek(self._seen)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._seen += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            print(f"{self._label}{line}", flush=True)
