"""The report's folder: whole or not at all, and never in place of anything else."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zoomsr.report.page import made_by_compare

INDEX, FIGURES = "index.html", "figures"
RESULTS, IMAGES, MARKDOWN, LATEX = "results.csv", "images.csv", "results.md", "results.tex"
_OURS = {INDEX, FIGURES, RESULTS, IMAGES, MARKDOWN, LATEX}


def require_free(out: Path) -> None:
    """Hold a folder against what a report may replace: nothing, an empty folder, or an earlier report.

    Raises:
        ValueError: there is something else.
    """
    if not out.exists():
        return
    advice = "-o names another folder"
    if not out.is_dir():
        raise ValueError(f"{out} is a file: {advice}")
    found = {path.name for path in out.iterdir()}
    if not found:
        return
    if not made_by_compare(out / INDEX):
        raise ValueError(f"{out} is no report of zoomsr.compare, and is not overwritten: {advice}")
    found |= {path.name for path in (out / FIGURES).glob("*") if path.suffix not in (".png", ".svg")}
    if others := sorted(found - _OURS):
        raise ValueError(f"{out} holds {others[0]}, which no report has written, and is not overwritten: {advice}")


@contextlib.contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` to write into, which takes its place when all is written, and goes when anything fails.

    Raises:
        ValueError: ``out`` holds what no report has written.
    """
    out = out.resolve()
    require_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name[:100]}.") as place:
        new, old = Path(place, "new"), Path(place, "old")
        new.mkdir()  # a temporary folder itself nobody else may read
        (new / FIGURES).mkdir()
        yield new
        require_free(out)  # minutes later
        if out.exists():
            out.rename(old)
        new.rename(out)
