"""What the studies share: the machine's name, and a table that code writes into a README."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def machine() -> str:
    """Processor and cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    (name, *_) = (line.split(": ")[1] for line in lines if line.startswith("model name"))
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def write_table(readme: Path, lines: Sequence[str]) -> None:
    """Put the lines between the README's marks, ``<!-- table -->`` and ``<!-- end -->``."""
    before, rest = readme.read_text().split("<!-- table -->")
    _, after = rest.split("<!-- end -->")
    readme.write_text(f"{before}<!-- table -->\n" + "\n".join(lines) + f"\n<!-- end -->{after}")
