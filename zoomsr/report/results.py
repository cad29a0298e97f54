"""metrics.json of a run or an evaluation, checked before anything is made of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

SCORES = ("psnr_y", "psnr_rgb", "ssim_y", "ssim_rgb", "mae")
"""Metrics that every picture has; older files lack the frequency bands."""

_KEYS = ("protocols", "data", "net", "sets", "degradation", "scale", "versions")


def read_results(path: Path) -> dict[str, Any] | None:
    """The file's data, or None where there is no file.

    Raises:
        ValueError: not JSON, or not the shape that ``zoomsr.train`` and ``zoomsr.evaluate`` write.
    """
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        _require_shape(data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is damaged: {what}") from error
    results: dict[str, Any] = data
    return results


def _require_shape(data: Any) -> None:
    for key in _KEYS:
        data[key]
    str(data["net"]["name"]), str(data["data"]["hash"])
    if not data["sets"]:
        raise ValueError("it holds no set of pictures")
    for name, nets in data["sets"].items():
        if "bicubic" not in nets:
            raise ValueError(f"set {name} lacks bicubic")
        for net, protocols in nets.items():
            for protocol, scores in protocols.items():
                data["protocols"][protocol].items()
                _require_scores(scores["images"], f"{name}, {net}, {protocol}")


def _require_scores(images: dict[str, dict[str, float]], where: str) -> None:
    if not images:
        raise ValueError(f"{where}: no picture")
    for image, row in images.items():
        for metric, value in {**{name: row[name] for name in SCORES}, **row}.items():
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ValueError(f"{where}, {image}: {metric} is {value}")
