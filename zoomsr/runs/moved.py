"""Classes that have moved, by the names under which files of older versions know them."""

from __future__ import annotations

import re
from typing import Any

_MOVED = (
    (r"zoomsr\.degradations(?=\.\w+$)", "zoomsr.imaging.degradations"),
    (r"zoomsr\.callbacks\.gallery\.Gallery$", "zoomsr.training.callbacks.best_worst.BestWorstCrops"),
    (r"zoomsr\.(losses|schedules|callbacks)(?=\.)", r"zoomsr.training.\1"),
    (r"zoomsr\.(launchers|search)(?=\.)", r"zoomsr.jobs.\1"),
    (r"zoomsr\.data\.sources(?=\.\w+$)", "zoomsr.data.sources.photographs"),
    (r"zoomsr\.data\.(streaming|synthetic)(?=\.)", r"zoomsr.data.sources.\1"),
)


def with_new_names(data: Any) -> Any:
    """Plain data with every ``_target_`` under its name of today."""
    if isinstance(data, dict):
        return {key: _new(value) if key == "_target_" else with_new_names(value) for key, value in data.items()}
    return [with_new_names(value) for value in data] if isinstance(data, list) else data


def _new(target: Any) -> Any:
    if isinstance(target, str):
        for old, new in _MOVED:
            target = re.sub(f"^{old}", new, target)
    return target
