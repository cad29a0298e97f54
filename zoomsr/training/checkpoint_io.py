"""Atomic checkpoints that can be moved with their run, and the newest intact one of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from zoomsr.cli.console import say
from zoomsr.pretrained.weights import is_intact
from zoomsr.runs.files import atomic_write, drop_partials, short
from zoomsr.runs.layout import LAST_CKPT, PREVIOUS_CKPT


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes each checkpoint atomically, and keeps the ``last.ckpt`` before it as ``previous.ckpt``."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """See ``CheckpointIO``."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        drop_partials(path)  # of this run, which is locked, by a process that was killed
        with atomic_write(path) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                # torch's writer hides a full disk or Ctrl-C behind "unexpected pos".
                if isinstance(error.__context__, OSError | KeyboardInterrupt):
                    raise error.__context__ from None
                raise
            file.flush()
            os.fsync(file.fileno())
            if path.name == LAST_CKPT and path.is_file():
                _keep(path, path.with_name(PREVIOUS_CKPT))


def _keep(last: Path, previous: Path) -> None:
    """Give the file a second name by a hard link, so that the first is never missing."""
    beside = previous.with_name(f".{previous.name}.part")
    try:
        beside.unlink(missing_ok=True)
        os.link(last, beside)
        beside.replace(previous)
    except OSError:  # a file system without hard links, as on many USB sticks
        last.replace(previous)
    finally:
        beside.unlink(missing_ok=True)  # where both were one file already, POSIX leaves it


def forget_places(trainer: Trainer, checkpoint: dict[str, Any]) -> None:
    """Save the paths of the best checkpoints relative to their folder, so that the run can be moved."""
    for keeper in _keepers(trainer):
        if (state := checkpoint["callbacks"].get(keeper.state_key)) is not None:
            checkpoint["callbacks"][keeper.state_key] = _placed(state, Path())


def find_places(trainer: Trainer, checkpoint: dict[str, Any]) -> None:
    """Load the paths of the best checkpoints relative to this run's folder.

    Where one is missing all are forgotten: the checkpoint is another run's.
    """
    for keeper in _keepers(trainer):
        state = checkpoint["callbacks"].get(keeper.state_key)
        if state is None or keeper.dirpath is None:
            continue
        state = _placed(state, Path(keeper.dirpath))
        best = filter(None, [*state["best_k_models"], state["best_model_path"]])
        if not trainer.strategy.broadcast(all(Path(path).is_file() for path in best)):
            state |= keeper.state_dict()
        checkpoint["callbacks"][keeper.state_key] = {**state, "dirpath": keeper.dirpath}


def _keepers(trainer: Trainer) -> list[ModelCheckpoint]:
    return [keeper for keeper in trainer.checkpoint_callbacks if isinstance(keeper, ModelCheckpoint)]


def _placed(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """With paths below the folder; older versions kept absolute ones."""

    def place(path: str) -> str:
        inside = os.path.relpath(path, state["dirpath"]) if Path(path).is_absolute() else path
        return str(folder / inside) if path else ""

    paths = {key: place(state[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")}
    models = {place(path): score for path, score in state["best_k_models"].items()}
    return {**state, **paths, "best_k_models": models, "dirpath": str(folder)}


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
