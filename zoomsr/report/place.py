"""The folder of a report: what may be replaced, and an atomic replacement."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

INDEX, FIGURES = "index.html", "figures"
RESULTS, IMAGES, CHECKLIST = "results.csv", "images.csv", "checklist.md"
GENERATOR = "zoomsr.compare"
"""By which a page says that it is ours."""
_OURS = {INDEX, FIGURES, RESULTS, IMAGES, CHECKLIST, "results.md", "results.tex"}


def made_by_compare(index: Path) -> bool:
    """Whether a page is one of ours."""
    return index.is_file() and f'content="{GENERATOR}"' in index.read_text(encoding="utf-8", errors="replace")


def require_free(out: Path) -> None:
    """Check that ``out`` is something that a report may replace: nothing, an empty folder, or an earlier report.

    Raises:
        ValueError: it is anything else.
    """
    if not out.exists():
        return
    advice = "-o names another folder"
    if not out.is_dir():
        raise ValueError(f"{out} is a file: {advice}")
    found = {path.name for path in out.iterdir()}
    if found and not made_by_compare(out / INDEX):
        raise ValueError(f"{out} is no report of zoomsr.compare, and is not overwritten: {advice}")
    found |= {path.name for path in (out / FIGURES).glob("*") if path.suffix not in (".png", ".svg")}
    if others := sorted(found - _OURS):
        raise ValueError(f"{out} holds {others[0]}, which no report has written, and is not overwritten: {advice}")


@contextlib.contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """A folder to write into that replaces ``out`` once all is written, and is deleted when anything fails.

    Raises:
        ValueError: ``out`` holds what no report has written.
    """
    out = out.resolve()
    require_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name[:100]}.") as place:
        new, old = Path(place, "new"), Path(place, "old")
        (new / FIGURES).mkdir(parents=True)  # new has the usual permissions, which a temporary folder lacks
        yield new
        require_free(out)  # minutes later
        if out.exists():
            out.rename(old)
        new.rename(out)
