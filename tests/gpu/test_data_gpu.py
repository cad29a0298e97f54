"""What reaches the net: the same bits from pinned and from resident pixels as on the CPU."""

from __future__ import annotations

from pathlib import Path

import torch
from _support.device_checks import batch_hashes

BATCHES = 200


def _hold_up() -> None:
    torch.cuda._sleep(4_000_000)  # about 2 ms of the stream on which the net computes


def test_batches_are_those_of_the_cpu_while_the_stream_is_busy(photos: Path, cuda: torch.device) -> None:
    expected = batch_hashes(photos, torch.device("cpu"), "host", count=BATCHES, occupy=lambda: None)
    assert len(set(expected)) == BATCHES
    for resident in ("host", "device"):
        assert batch_hashes(photos, cuda, resident, count=BATCHES, occupy=_hold_up) == expected, resident
