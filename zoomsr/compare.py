"""``python -m zoomsr.compare RUN...``: from runs to tables, figures and one page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.options import TrustOption
from zoomsr.runs.trust import sign_all

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Runs = Annotated[
    list[Path] | None, typer.Argument(help="runs, a sweep, folders of runs, or evaluations", metavar="RUN...")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="the report's folder; an earlier report there is replaced")]
Mixed = Annotated[
    bool,
    typer.Option("--mixed", help="a table for each set that was measured differently, and a matrix of degradations"),
]
Checklist = Annotated[
    bool, typer.Option("--checklist", help="also checklist.md: what the runs answer of the NeurIPS paper checklist")
]


@app.command()
def compare(
    runs: Runs = None,
    out: Out = Path("report"),
    mixed: Mixed = False,
    checklist: Checklist = False,
    trust: TrustOption = False,
) -> None:
    """Compare runs: results.csv, Markdown, LaTeX, figures, and index.html, which needs no network.

    Runs that differ only in the seed share a row. Unfinished and failed runs are listed, and their curves drawn.
    """
    with one_line_errors():
        if not runs:
            raise ValueError("no runs were named: python -m zoomsr.compare runs/A runs/B, or a folder of them")
        for run in runs if trust else ():
            sign_all(run)
        from zoomsr.report.comparability import read_comparable
        from zoomsr.report.place import require_free

        require_free(out)
        entries = read_comparable(runs, mixed=mixed)
        from zoomsr.report.recipe import compare as write_report  # torch, which is slow: mistakes are answered before

        flags = {"--mixed": mixed, "--checklist": checklist}
        options = [*(name for name, given in flags.items() if given), "-o", str(out)]
        command = shlex.join(["python", "-m", "zoomsr.compare", *map(str, runs), *options])
        write_report(entries, out, command=command, checklist=checklist)


if __name__ == "__main__":
    app()
