"""Windows of a fixed size, along one side of a picture."""

from __future__ import annotations

from itertools import pairwise

import pytest

from zoomsr.foreign.reach import Reach
from zoomsr.foreign.windows import windows


@pytest.mark.parametrize("length", [1, 15, 16, 17, 24, 25, 63, 64, 1000])
@pytest.mark.parametrize(("halo", "grid"), [(0, 1), (3, 1), (4, 4), (3, 2), (0, 4)])
def test_each_pixel_is_kept_once_and_far_from_a_cut(length: int, halo: int, grid: int) -> None:
    size = 16
    found = windows(length, size, Reach(grid, halo, 0.0))
    assert [pixel for one in found for pixel in range(one.first, one.last)] == list(range(length))
    assert found[0].start == 0
    assert all(one.start % grid == 0 for one in found)
    assert all(one.last + halo <= one.start + size for one in found[:-1])
    assert all(one.first - halo >= one.start for one in found[1:])
    assert length <= max(size, found[-1].start + size) < max(size, length) + grid
    step = (size - 2 * halo) // grid * grid
    assert all(0 < other.start - one.start <= step for one, other in pairwise(found))
    assert len(found) == 1 + max(0, -(-(length - size) // step))
