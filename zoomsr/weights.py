"""Trained nets on disk: open them without running anything that is in them, and say what they are."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A training checkpoint as plain data and tensors, on the CPU.

    Raises:
        ValueError: no such file, damaged, not made by zoomsr, or it asks to run code.
    """
    if not path.is_file():
        raise ValueError(
            f"there is no checkpoint {path}: a run keeps best.ckpt and last.ckpt in its checkpoints folder"
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors and plain data, and could run code: it is not opened"
        ) from error
    except (RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    if not isinstance(checkpoint, dict) or "model" not in checkpoint.get("hyper_parameters", {}):
        raise ValueError(f"{path} is not a checkpoint of zoomsr.train")
    return checkpoint


def check_resumable(path: Path, net: nn.Module, *, net_name: str) -> None:
    """Refuse a checkpoint of another net before anything starts.

    Raises:
        ValueError: as ``read_checkpoint``, or the parameters have other names or shapes; both nets are named.
    """
    checkpoint = read_checkpoint(path)
    prefix = "net."
    theirs = {
        key.removeprefix(prefix): v.shape for key, v in checkpoint["state_dict"].items() if key.startswith(prefix)
    }
    ours = {key: value.shape for key, value in net.state_dict().items()}
    if theirs != ours:
        made = dict(checkpoint["hyper_parameters"]["model"])
        name = str(made.pop("_target_", "?")).rsplit(".", 1)[-1]
        arguments = ", ".join(f"{key}={value}" for key, value in made.items())
        raise ValueError(f"{path} holds {name}({arguments}), which does not fit model={net_name} as configured")
