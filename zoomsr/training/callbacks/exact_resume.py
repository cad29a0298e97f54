"""State that Lightning's checkpoints omit and exact resume needs: RNG states, partial-epoch metrics, event files."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils._pytree import tree_map

from zoomsr.cli.console import say
from zoomsr.data.loader import PatchLoader
from zoomsr.training.callbacks.loggers import loggers_of
from zoomsr.training.checkpoint_io import find_places, forget_places
from zoomsr.training.module import ZoomModule

_KEY = "zoomsr"


class ExactResume(Callback):
    """Adds to every checkpoint each rank's RNG states and metrics of the epoch so far, and the event files' lengths.

    The position in the epoch is the loader's own (``PatchLoader.state_dict``). Lightning would restore it too, but not
    where a schedule has asked for the number of steps before. Our data draws from none of the RNGs; a net may.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Collect the state of all ranks; the first rank writes the checkpoint."""
        own = {"random": _random_states(trainer.strategy.root_device)}
        if isinstance(pl_module, ZoomModule):
            own["epoch"] = pl_module.epoch_so_far()
        ranks: list[Any] = [own] * trainer.world_size
        if trainer.world_size > 1:
            on_cpu = tree_map(lambda value: value.cpu() if isinstance(value, torch.Tensor) else value, own)
            torch.distributed.all_gather_object(ranks, on_cpu)
        loader, loggers = trainer.train_dataloader, loggers_of(trainer)
        checkpoint[_KEY] = {
            "ranks": ranks,
            "loader": loader.state_dict() if isinstance(loader, PatchLoader) else {},
            "events": {} if loggers is None else loggers.event_sizes(),
            "precision": trainer.precision,
        }
        forget_places(trainer, checkpoint)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Truncate the event files to the checkpoint, before anything is appended.

        Raises:
            ValueError: it has more epochs than ``trainer.max_epochs``.
        """
        done = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        if 0 <= (trainer.max_epochs or 0) < done:
            raise ValueError(
                f"trainer.max_epochs={trainer.max_epochs}, but {trainer.ckpt_path} has {done} epochs already: "
                "ask for at least as many, or leave out ckpt to start anew"
            )
        find_places(trainer, checkpoint)
        self._loaded = checkpoint.get(_KEY)
        if self._loaded is not None and trainer.training and (loggers := loggers_of(trainer)) is not None:
            loggers.cut_back(self._loaded["events"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Just before the first step."""
        if self._loaded is None:
            return
        ranks, position, self._loaded = self._loaded["ranks"], self._loaded["loader"], None
        if position and isinstance(trainer.train_dataloader, PatchLoader):
            trainer.train_dataloader.load_state_dict(position)
        if len(ranks) == trainer.world_size:
            _set_random_states(ranks[trainer.global_rank]["random"], trainer.strategy.root_device)
        elif trainer.is_global_zero:
            say({"resumed": f"{len(ranks)} ranks became {trainer.world_size}: it resumes, but not bit for bit"})
        if isinstance(pl_module, ZoomModule):
            pl_module.resume_epoch([state["epoch"] for state in ranks[trainer.global_rank :: trainer.world_size]])


def precision_in(checkpoint: dict[str, Any]) -> str | None:
    """The precision in which the run was trained; None in the checkpoints of older versions and other programs."""
    kept = checkpoint.get(_KEY)
    return kept.get("precision") if isinstance(kept, dict) else None


def _random_states(device: torch.device) -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state(legacy=True)
    states = {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }
    return states | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def _set_random_states(states: dict[str, Any], device: torch.device) -> None:
    kind, keys, *rest = states["numpy"]
    random.setstate(states["python"])
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)
