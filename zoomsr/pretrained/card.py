"""Cards of trained nets: architecture, training data, scores, and how they may be run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from zoomsr.models import Net
from zoomsr.pretrained.vetting import fits, require_plain
from zoomsr.runs.files import sha256_of, write_json


@dataclass(frozen=True)
class Card:
    """``NAME.json`` beside ``NAME.safetensors``.

    Attributes:
        net: ``_target_`` and arguments.
        scale: enlargement factor.
        channels: 3 for RGB, 1 for luma.
        params: number of parameters.
        data: what it was trained on: name, hash, n_train, n_val; ``started_from``, the photographs of trainings that
            made its first weights, where these were not random; of a set with a manifest also ``licences``, the number
            of photographs under each, and ``photographs``, the file, source, licence and split (train or val) of each.
        degradation: what made its lr.
        protocols: of the scores.
        sets: mean scores by set, net and protocol.
        halo: lr pixels around a tile with which no 8-bit pixel of a real photograph differs from the whole picture's.
        bfloat16: whether in bfloat16 no 8-bit value of real photographs changes by more than one level, but for one in
            a million that may by two.
        sha256: of the file of weights.
        licence: under which it may be used.
        command: that made it.
        versions: of Python and the packages.
        recognised: which published set each of ``sets`` is, by its pixels, where that was looked up.
        stored: type of the weights in their file; the net runs in float32, or in bfloat16 where that is allowed.
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
    stored: str = "float32"
    recognised: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def beside(weights: Path) -> Card | None:
        """The card of a file of weights; None where it has none.

        Raises:
            ValueError: a damaged card, one with a value of the wrong type, or one of other weights.
        """
        path = weights.with_suffix(".json")
        if weights.suffix != ".safetensors" or not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            card = Card(**content)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        for name, hint in get_type_hints(Card).items():
            if not fits(getattr(card, name), hint):
                raise ValueError(f"{path} is damaged: {name} is {str(getattr(card, name))[:80]!r}")
        require_plain(path, card.net)
        if card.sha256 != sha256_of(weights):
            raise ValueError(f"{path} is the card of other weights than {weights.name}")
        return card

    def require(self, net: Net, weights: Path) -> None:
        """Compare the card with the net that its weights make.

        Raises:
            ValueError: another scale or other channels, or a halo that no measurement gives.
        """
        path = weights.with_suffix(".json")
        for name in ("scale", "channels"):
            if getattr(self, name) != getattr(net, name):
                raise ValueError(f"{path} says {name} {getattr(self, name)}, and the net has {getattr(net, name)}")
        if not min(1, net.halo) <= self.halo <= net.halo:
            raise ValueError(f"{path} says halo {self.halo}, which is not within 1 to the net's {net.halo}")

    def write(self, weights: Path) -> None:
        """Write it beside the weights, atomically."""
        write_json(weights.with_suffix(".json"), asdict(self))
