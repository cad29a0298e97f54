"""The process that carries out a job, and how it ends."""

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
from zoomsr.runs.job import _RANKS, Job
from zoomsr.runs.layout import OUTPUT


class Process:
    """A job that runs as a process of its own, with its own process group and its own idea of ranks.

    It ends with this process, however that ends: its standard input is a pipe of which this process has the other end.

    Args:
        job: what to run.
        environment: beside that of this process: which devices it sees, how many threads it takes.
        label: before each of its lines on the screen; None lets it write to the screen itself.
    """

    def __init__(self, job: Job, *, environment: Mapping[str, str], label: str | None) -> None:
        inherited = {key: value for key, value in os.environ.items() if key not in _RANKS}
        piped = label is not None
        if piped:  # both ends agree on what the screen can show
            inherited["PYTHONIOENCODING"] = f"{CONSOLE.encoding}:backslashreplace"
        unlock(job.path)  # the job itself locks it
        self._process = subprocess.Popen(
            [sys.executable, "-m", "zoomsr.jobs.__main__", str(job.path), "--child"],
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
        """Its exit code, which is recorded; ranks that it leaves behind are ended."""
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
        """Send a signal to all its ranks; none is left when they have ended.

        Windows has no such thing: there Ctrl-C reaches every process of the console by itself.
        """
        if not hasattr(os, "killpg"):
            return
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def _copy(self, label: str) -> None:
        """Its lines into ``output.log`` and, marked, onto the screen."""
        stream: TextIO = self._process.stdout  # type: ignore[assignment]  # piped, and text
        with (self._job.path / OUTPUT).open("a", encoding="utf-8") as log:
            for line in stream:
                log.write(line)
                log.flush()
                print(printable(f"{label}{line}"), end="", flush=True)
