"""``python -m zoomsr.train replay=FILE``: a batch that stopped a training, layer by layer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from zoomsr.config import instantiate
from zoomsr.diagnosis import diagnose, first_wrong
from zoomsr.screen import CONSOLE, layer_table, say
from zoomsr.weights import Weights, open_plain


def replay(path: Path) -> None:
    """Run the batch through the net with the weights of that step, and print what comes out of every layer.

    Raises:
        ValueError: no such file, damaged, or not written by the guard.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}: the guard writes replay_step*.pt into the run's directory")
    kept = open_plain(path)
    if not {"batch", "net", "hyper_parameters"} <= kept.keys():
        raise ValueError(f"{path} is no batch of the guard's")
    batch, settings = kept["batch"], kept["hyper_parameters"]
    net = Weights(path, kept["net"], settings["model"]).build()
    found = diagnose(net.train(), instantiate(OmegaConf.create(_loss(path, settings))), lr=batch["lr"], hr=batch["hr"])
    say({"batch": ", ".join(batch["name"])})
    CONSOLE.print(layer_table(found))
    place = first_wrong(found)
    say({"result": f"{place} is where it goes wrong" if place else "every value is finite: it arises in the gradients"})


def _loss(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The loss, if it is one of torch's or ours: a file must not choose what code runs."""
    loss: dict[str, Any] = settings["loss"]
    for target in re.findall(r"'_target_': '([^']*)'", repr(loss)):
        if not re.fullmatch(r"(torch\.nn\.\w+Loss|zoomsr\.losses\.\w+)", target):
            raise ValueError(f"{path} holds a {target}, which is no loss of torch or zoomsr")
    return loss
