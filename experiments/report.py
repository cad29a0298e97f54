"""What the studies share: the machine's name, and csv files that look the same whoever writes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from zoomsr.hardware.devices import has_fast_bfloat16
from zoomsr.hardware.processor import n_cores, processor
from zoomsr.runs.files import write_text

Value = str | float | None


def machine() -> str:
    """Processor, cores, and the instructions that make the difference: ``AMD EPYC, 2 cores, AVX512_BF16``."""
    cores = n_cores()
    return f"{processor()}, {cores} core{'s' if cores > 1 else ''}, {_instructions()}"


def _instructions() -> str:
    """The widest that torch may use."""
    if not has_fast_bfloat16(torch.device("cpu")):
        return torch.backends.cpu.get_cpu_capability()  # AVX2 or AVX512
    return "AMX" if torch.cpu.get_capabilities()["amx_bf16"] else "AVX512_BF16"


def write_rows(path: Path, rows: Sequence[Mapping[str, Value]]) -> None:
    """Write rows with the columns of all of them, atomically; floats to six digits, None as an empty cell."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_written(row.get(name)) for name in columns] for row in rows)
    write_text(path, text.getvalue())


def write_facts(path: Path, facts: Mapping[str, Value]) -> None:
    """What has no row of its own, a fact in each row: machine, minutes ..."""
    write_rows(path, [{"fact": name, "value": value} for name, value in facts.items()])


def _written(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
