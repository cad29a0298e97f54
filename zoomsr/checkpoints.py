"""Checkpoints that are whole or not there, and the newest good one of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from zoomsr.commandline import LAST_CKPT, PREVIOUS_CKPT
from zoomsr.screen import say, short
from zoomsr.weights import is_intact


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there once it is on the disk.

    A new ``last.ckpt`` leaves the one before it as ``previous.ckpt``, should a disk spoil the newer one.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """See ``CheckpointIO``."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        try:
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if path.name == LAST_CKPT and path.is_file():
                path.replace(path.with_name(PREVIOUS_CKPT))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def newest_intact(folder: Path) -> Path | None:
    """The newest checkpoint of a run that is not damaged; None where there is none at all.

    Raises:
        ValueError: there are some, all of them damaged.
    """
    found = [path for path in (folder / LAST_CKPT, folder / PREVIOUS_CKPT) if path.is_file()]
    for path in found:
        if is_intact(path):
            return path
        say({"damaged": f"{short(path)} is passed over"})
    if found:
        raise ValueError(f"every checkpoint in {folder} is damaged: start anew, or from another with ckpt=FILE")
    return None
