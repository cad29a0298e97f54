"""A visitor's work, in a thread of its own, that can be cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import nn

Result = TypeVar("Result")


class WorkCancelledError(Exception):
    """The visitor has cancelled the work."""


@contextmanager
def cancellable(net: nn.Module, cancelled: threading.Event) -> Iterator[None]:
    """Within, the net stops before its next layer when ``cancelled`` is set: one tile of a large net takes a minute.

    Args:
        net: that runs within; by nobody else, for its layers have hooks meanwhile.
        cancelled: is asked before every layer.

    Raises:
        WorkCancelledError: it was set.
    """

    def check(*_: Any) -> None:
        if cancelled.is_set():
            raise WorkCancelledError

    hooks = [layer.register_forward_pre_hook(check) for layer in net.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


async def in_thread(work: Callable[[threading.Event], Result]) -> Result:
    """The result of ``work``, which runs in a thread.

    When this task is cancelled, the event that ``work`` was given is set, and it is waited for: otherwise the next
    visitor's work would begin beside it.

    Args:
        work: gets an event that tells it to stop.
    """
    cancelled = threading.Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, cancelled))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        cancelled.set()
        await asyncio.gather(running, return_exceptions=True)
        raise
