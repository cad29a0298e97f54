"""The mean of the weights of several trainings: ``python -m experiments.pretrained.mean RUN RUN -o MEAN.safetensors``.

Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time", ICML 2022, arXiv:2203.05482: trainings that began at the same weights.
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
    licence: Annotated[str, typer.Option(help="of the weights, for their card")] = "not stated",
) -> None:
    """Write the mean, and a card that says what its nets were trained on."""
    with one_line_errors():
        parts = [Weights.read(file) for net in nets if (file := existing_weights(net)) is not None]
        ship(mean(parts), output, origin=origin(parts), licence=licence)


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


def origin(parts: Sequence[Weights]) -> Origin:
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
    return replace(longest, sets={}, protocols={}, command=command)


if __name__ == "__main__":
    typer.run(main)
