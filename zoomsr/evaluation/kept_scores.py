"""Scores that were measured before, in the user's cache: an interrupted evaluation goes on where it stopped."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from zoomsr.metrics.protocol import PROTOCOLS
from zoomsr.metrics.quality import ImageScore
from zoomsr.runs.files import cache_folder
from zoomsr.runs.provenance import code_hash
from zoomsr.runs.run import versions
from zoomsr.runs.trust import seal

ScoresByProtocol = dict[str, ImageScore]
"""Protocol to the score of one image."""

_MAX_KEPT = 64  # files, of a net under its settings each
_OURS = "zoomsr."


class KeptScores:
    """The scores of one net under one set of settings, by the content of the image.

    A line for each image is appended as soon as it is measured. Numbers are published from here, so each line is
    signed with the user's key (``zoomsr.runs.trust``): one that is damaged, or written by somebody else, is ignored.

    Args:
        settings: all that the scores follow from, beside the image, the protocols, the code and the packages, which are
            added here; plain data.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        facts = {"protocols": [asdict(one) for one in PROTOCOLS], "code": code_hash(), "versions": versions()}
        content = json.dumps({**facts, "settings": settings}, sort_keys=True)
        self._name = hashlib.sha256(content.encode()).hexdigest()
        self._scores = dict(self._read())

    def __contains__(self, image: str) -> bool:
        return image in self._scores

    def __getitem__(self, image: str) -> ScoresByProtocol:
        return self._scores[image]

    def add(self, image: str, scores: ScoresByProtocol) -> None:
        """Keep the scores of an image, by ``Benchmark.digest_of``; nothing is kept where there is no place for it."""
        values = {protocol: list(score.as_dict().values()) for protocol, score in scores.items()}
        text = json.dumps({"image": image, "scores": values})
        with suppress(OSError, RuntimeError, ValueError):  # a full disk, no home
            path = self._path()
            path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not path.exists()
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{self._seal(text)} {text}\n")
            if is_new:
                newest_first = sorted(path.parent.glob("*.txt"), key=lambda one: one.stat().st_mtime, reverse=True)
                for old in newest_first[_MAX_KEPT:]:
                    old.unlink(missing_ok=True)

    def _read(self) -> Iterator[tuple[str, ScoresByProtocol]]:
        with suppress(OSError, RuntimeError, ValueError):  # no file, no key, or no home
            for line in self._path().read_text(encoding="utf-8", errors="replace").splitlines():
                signature, _, text = line.partition(" ")
                if hmac.compare_digest(signature.encode(), self._seal(text).encode()):
                    content = json.loads(text)
                    yield content["image"], {key: ImageScore(*row) for key, row in content["scores"].items()}

    def _path(self) -> Path:
        return cache_folder() / "scores" / f"{self._name}.txt"

    def _seal(self, text: str) -> str:
        return seal(f"scores\0{self._name}\0{text}".encode()).hex()


def device_facts(device: torch.device) -> list[str]:
    """What the last digits of a score depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return [device.type, name]


def is_ours(config: Any) -> bool:
    """Whether plain settings call code of this package alone: that of others may change without a trace."""
    if isinstance(config, Mapping):
        target = config.get("_target_", _OURS)
        return str(target).startswith(_OURS) and all(map(is_ours, config.values()))
    return all(map(is_ours, config)) if isinstance(config, (list, tuple)) else True
