"""Colours for maps: brighter is more, also for those who see no colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RAMP = np.array([(0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191)], np.float64)
"""From black by purple and orange to white, (5, 3) on 0 to 255."""


def ramped(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values (H, W) on [0, 1], clipped, in the colours of ``RAMP``, (H, W, 3)."""
    stops = np.linspace(0, 1, len(RAMP))
    return np.stack([np.interp(values, stops, channel) for channel in RAMP.T], -1).round().astype(np.uint8)
