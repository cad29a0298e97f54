"""The precision of a training: what ``trainer.precision=auto`` is on this machine, and where bfloat16 is slow."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from zoomsr.hardware.devices import has_fast_bfloat16
from zoomsr.pretrained.weights import open_plain
from zoomsr.training.callbacks.exact_resume import precision_in

AUTO = "auto"


class Precision(NamedTuple):
    """One of Lightning's names, and why it was chosen; no reason where the user has named it."""

    name: str
    reason: str = ""


def choose_precision(wanted: str, *, device: torch.device, start: str | None) -> Precision:
    """``auto`` is bf16-mixed where the device computes fast in bfloat16, else 32-true; a resumed run keeps what it had.

    Args:
        wanted: the setting.
        device: that trains.
        start: the checkpoint that is resumed.
    """
    if wanted != AUTO:
        return Precision(wanted)
    before = None if start is None else precision_in(open_plain(Path(start)))
    if before is not None:
        return Precision(before, "as the run began")
    if has_fast_bfloat16(device):
        return Precision("bf16-mixed", f"this {device.type} has fast bf16")
    return Precision("32-true", f"this {device.type} has no fast bf16")


def slow_precision(precision: str, device: torch.device) -> str | None:
    """A warning where the device emulates the precision, else None."""
    if not precision.startswith("bf16") or has_fast_bfloat16(device):
        return None
    missing = "neither AVX512_BF16 nor AMX" if device.type == "cpu" else "no bf16 instructions"
    faster = "trainer.precision=16-mixed" if device.type == "cuda" else "trainer.precision=32-true"
    return f"this {device.type} has {missing}: {precision} may take several times as long as {faster}"
