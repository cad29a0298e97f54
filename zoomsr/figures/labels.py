"""Places for the labels of markers, so that none covers another, a marker or a line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.transforms import Bbox

_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0), (0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1), (1, 1), (-1, -1))
_DISTANCES = (1, 8, 16, 26, 38, 52, 68, 86, 110, 140)  # points

Pair = tuple[float, float]


@dataclass(frozen=True)
class Spot:
    """A marker on the page, in points from the lower left corner."""

    x: float
    y: float
    radius: float

    def box(self) -> Bbox:
        """What the marker covers."""
        return self.beside((0, 0), (2 * self.radius, 2 * self.radius))

    def beside(self, offset: Pair, size: Pair) -> Bbox:
        """A box of a size around the place that is ``offset`` away."""
        (right, up), (width, height) = offset, size
        return Bbox.from_bounds(self.x + right - width / 2, self.y + up - height / 2, width, height)

    def free(self, size: Pair, *, frame: Bbox, taken: Sequence[Bbox], lines: Sequence[Bbox]) -> Pair:
        """The offset of the nearest box of a size that is inside the frame and covers nothing.

        Where there is none, of the nearest that covers lines only; where there is none of these, of the one above.
        """
        for obstacles in ([*taken, *lines], taken):
            for offset in self._offsets(size):
                box = self.beside(offset, size)
                inside = frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1
                if inside and not any(box.overlaps(other) for other in obstacles):
                    return offset
        return 0, self.radius + size[1] / 2

    def _offsets(self, size: Pair) -> Iterator[Pair]:
        for distance, (right, up) in itertools.product(_DISTANCES, _DIRECTIONS):
            reach = self.radius + distance
            yield right * (reach + size[0] / 2), up * (reach + size[1] / 2)
