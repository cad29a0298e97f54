from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import LRScheduler

from zoomsr.training import schedules


def _rates(schedule: Callable[[torch.optim.Optimizer, int], LRScheduler], steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = schedule(optimizer, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_constant_does_not_move() -> None:
    assert _rates(schedules.constant, 5) == [1.0] * 5


def test_cosine_rises_then_falls_to_its_floor() -> None:
    rates = _rates(partial(schedules.cosine, warmup=0.1, floor=0.2), 100)
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[55] == pytest.approx(0.6)  # half-way down
    assert rates[-1] == pytest.approx(0.2, abs=1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(("steps", "warm"), [(14, 7), (42, 10), (500, 10), (2000, 40)])
def test_a_short_training_warms_up_too(steps: int, warm: int) -> None:
    rates = _rates(partial(schedules.cosine, warmup=0.02, min_warmup=10), steps)
    assert rates[: warm + 1] == pytest.approx([*((step + 1) / warm for step in range(warm)), 1.0])
    assert rates[warm + 1] < 1


def test_cosine_survives_a_single_step() -> None:
    for min_warmup in (0, 10):
        assert _rates(partial(schedules.cosine, min_warmup=min_warmup), 1) == [1.0]


def test_steps_fall_at_shares_of_the_training() -> None:
    rates = _rates(partial(schedules.steps, at=[0.5, 0.75], gamma=0.1), 8)
    assert rates == pytest.approx([1] * 4 + [0.1] * 2 + [0.01] * 2)
