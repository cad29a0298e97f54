"""The card of a trained net: what it is, what it was trained on, how good it is, and how it may be run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoomsr.data.archives import sha256_of
from zoomsr.runs import write_json


@dataclass(frozen=True)
class Card:
    """``NAME.json`` beside ``NAME.safetensors``.

    Attributes:
        net: ``_target_`` and arguments.
        scale: enlargement factor.
        channels: 3 for RGB, 1 for luma.
        params: number of parameters.
        data: what it was trained on: name, hash, n_train, n_val.
        degradation: what made its lr.
        protocols: of the scores.
        sets: mean scores by set, net and protocol.
        halo: lr pixels around a tile with which no 8-bit pixel of a real photograph differs from the whole picture's.
        bfloat16: whether no 8-bit pixel of a real photograph changes by more than one level in bfloat16.
        sha256: of the weights' file.
        licence: under which it may be used.
        command: that made it.
        versions: of Python and the packages.
    """

    net: dict[str, Any]
    scale: int
    channels: int
    params: int
    data: dict[str, Any]
    degradation: str
    protocols: dict[str, Any]
    sets: dict[str, Any]
    halo: int
    bfloat16: bool
    sha256: str
    licence: str
    command: str
    versions: dict[str, str]

    @staticmethod
    def beside(weights: Path) -> Card | None:
        """The card of a file of weights; None where it has none.

        Raises:
            ValueError: a damaged card, or one of other weights.
        """
        path = weights.with_suffix(".json")
        if weights.suffix != ".safetensors" or not path.is_file():
            return None
        try:
            card = Card(**json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        if card.sha256 != sha256_of(weights):
            raise ValueError(f"{path} is the card of other weights than {weights.name}")
        return card

    def write(self, weights: Path) -> None:
        """Beside the weights, whole or not at all."""
        write_json(weights.with_suffix(".json"), asdict(self))
