"""``python -m zoomsr.jobs RUN``: train with the settings frozen in a run's directory, for sweeps and launchers."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.native import share_cores
from zoomsr.cli.overrides import is_first_rank
from zoomsr.jobs.launchers import train_here
from zoomsr.runs.job import Job
from zoomsr.runs.layout import OUTPUT
from zoomsr.runs.trust import require_own

_SAVES_WITHIN_S = 30
"""How long a job whose launcher has died may take to save."""


def main(
    run: Path,
    trust: Annotated[bool, typer.Option("--trust", help="The settings may come from someone else.")] = False,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Every rank of a job starts here, and reads the same file."""
    share_cores()
    with one_line_errors():
        job = Job(run)
        if child:  # of a launcher, which has written the settings and holds the standard input open
            threading.Thread(target=_end_with_launcher, args=(job,), daemon=True).start()
        elif not trust:
            require_own(run)
        try:
            # An earlier launcher's job may still be saving.
            train_here(job, job.settings(), patience=1.5 * _SAVES_WITHIN_S if child else 0)
        except RuntimeError as error:  # of the connection to a rank that has ended
            if ended := _ended_rank():
                raise ValueError(f"a rank of {run} has ended {ended}, and with it the others") from error
            raise


def _ended_rank() -> str:
    """How a rank that this process started has ended, if one has; the connection breaks a little earlier."""
    for _ in range(20 if hasattr(os, "waitid") else 0):  # macOS has it since Python 3.13, Windows never
        try:
            child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return ""
        if child is not None:
            is_killed = child.si_code != os.CLD_EXITED
            return f"by {signal.Signals(child.si_status).name}" if is_killed else f"with exit code {child.si_status}"
        time.sleep(0.1)
    return ""


def _end_with_launcher(job: Job) -> None:
    """Stop this rank when its launcher has ended, even by SIGKILL; its further output goes into a file.

    Each rank reads the same standard input and stops itself: a second signal would end it before it has saved.
    """
    while os.read(0, 1):
        pass
    with (job.path / OUTPUT).open("a", encoding="utf-8") as log:  # nobody reads the pipe any more
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        if is_first_rank():
            print("error: the command that started this job has ended", file=log)
    if os.name == "nt":
        signal.raise_signal(signal.SIGTERM)  # os.kill would end this process before it has saved
    else:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SAVES_WITHIN_S)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)  # Windows, where every rank ends itself


if __name__ == "__main__":
    typer.run(main)
