"""The mean of the weights of several trainings: ``python -m experiments.pretrained.mean RUN RUN -o MEAN.safetensors``.

Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time", ICML 2022, arXiv:2203.05482: trainings that began at the same weights. ``--start NET --step 1.5`` goes
on from those in the direction of the mean, half as far again: an outer step of learning rate 1.5, without momentum, as
Douillard et al., "DiLoCo: Distributed Low-Communication Training of Language Models", arXiv:2311.08105, have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from zoomsr.cli.errors import one_line_errors
from zoomsr.inference.release import Origin, ship
from zoomsr.pretrained.names import existing_weights
from zoomsr.pretrained.weights import Weights


def main(
    nets: Annotated[list[str], typer.Argument(help="pretrained nets, folders of trainings, or files of weights")],
    output: Annotated[Path, typer.Option("-o", "--output", help="a file that ckpt=FILE ckpt_mode=weights opens")],
    start: Annotated[str | None, typer.Option(help="the net at which the trainings began, for --step")] = None,
    step: Annotated[float, typer.Option(help="how far from there: 1 is the mean, 1.5 half as far again")] = 1.0,
    licence: Annotated[str, typer.Option(help="of the weights, for their card")] = "not stated",
) -> None:
    """Write the mean, and a card that says what its nets were trained on."""
    with one_line_errors():
        parts = [_read(net) for net in nets]
        found = mean(parts)
        if start is not None:
            found = beyond(_read(start), found, step=step)
        elif step != 1:
            raise ValueError(f"--step {step:g} needs --start NET, from which it leads")
        ship(found, output, origin=origin(parts, step=step), licence=licence)


def _read(net: str) -> Weights:
    file = existing_weights(net)
    if file is None:
        raise ValueError(f"{net} has no weights")
    return Weights.read(file)


def mean(parts: Sequence[Weights]) -> Weights:
    """Of nets that are made alike; tensors in float32.

    Raises:
        ValueError: fewer than two, or of different nets.
    """
    if len(parts) < 2:
        raise ValueError("a mean is of two nets or more")
    first, *others = parts
    for other in others:
        other.require(first.own_config())
    tensors = {name: torch.stack([one.tensors[name].float() for one in parts]).mean(0) for name in first.tensors}
    return replace(first, tensors=tensors, card=None)


def beyond(start: Weights, end: Weights, *, step: float) -> Weights:
    """The net at ``start + step (end - start)``, in float32.

    Raises:
        ValueError: of different nets.
    """
    start.require(end.own_config())
    tensors = {name: start.tensors[name].float().lerp(tensor, step) for name, tensor in end.tensors.items()}
    return replace(end, tensors=tensors)


def origin(parts: Sequence[Weights], *, step: float = 1) -> Origin:
    """Of the mean: that of the net with the longest history, without scores, which are not the mean's.

    Raises:
        ValueError: they were not all trained on the same photographs.
    """
    origins = [Origin.of(one.path) for one in parts]
    longest = max(origins, key=lambda one: len(one.data.get("started_from", ())))
    for part, one in zip(parts, origins, strict=True):
        if any(one.data.get(key) != longest.data.get(key) for key in ("name", "n_train", "photographs")):
            raise ValueError(f"{part.path} was trained on other photographs than the others")
    command = " ".join(["python -m experiments.pretrained.mean", *["FOLDER" for _ in parts], "-o FILE"])
    command += "" if step == 1 else f" --start NET --step {step:g}"
    return replace(longest, sets={}, protocols={}, command=command)


if __name__ == "__main__":
    typer.run(main)
