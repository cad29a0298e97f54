"""A visitor's work can be cancelled within a net."""

from __future__ import annotations

import asyncio
import threading

import pytest
import torch
from torch import Tensor, nn

from zoomsr.webapp.work import WorkCancelledError, cancellable, in_thread


class _Layer(nn.Module):
    def __init__(self, done: list[int], cancelled: threading.Event | None = None) -> None:
        super().__init__()
        self.done, self.cancelled = done, cancelled

    def forward(self, x: Tensor) -> Tensor:
        self.done.append(len(self.done))
        if self.cancelled is not None:
            self.cancelled.set()
        return x


def test_a_net_stops_before_its_next_layer_and_runs_again_later() -> None:
    cancelled, done = threading.Event(), list[int]()
    net = nn.Sequential(_Layer(done), nn.Sequential(_Layer(done, cancelled), _Layer(done)), _Layer(done))
    with pytest.raises(WorkCancelledError), cancellable(net, cancelled):
        net(torch.zeros(1))
    assert done == [0, 1]
    net(torch.zeros(1))
    assert done == [0, 1, 2, 3, 4, 5]


def test_a_cancelled_task_ends_when_its_work_has_ended() -> None:
    started, release = threading.Event(), threading.Event()

    def work(cancelled: threading.Event) -> str:
        started.set()
        assert cancelled.wait(10)
        release.wait(10)
        raise WorkCancelledError

    async def main() -> None:
        task = asyncio.ensure_future(in_thread(work))
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=0.1)
        assert not done
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await in_thread(lambda cancelled: "next") == "next"

    asyncio.run(main())
