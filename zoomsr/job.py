"""``python -m zoomsr.job RUN``: carry out the settings frozen in a run's directory; started by sweeps and launchers."""

from __future__ import annotations

from pathlib import Path

import typer

from zoomsr.errors import one_line_errors
from zoomsr.jobs import Job


def main(run: Path) -> None:
    """Every rank of a job starts here, and reads the same file."""
    with one_line_errors():
        settings = Job(run).settings()
        from zoomsr.training import train  # heavy

        train(settings)


if __name__ == "__main__":
    typer.run(main)
