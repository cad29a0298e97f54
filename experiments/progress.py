"""A benchmark says where it is, a line for each part, on a terminal or in a log; and it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

_START = time.monotonic()


def note(text: str) -> None:
    """A line with the seconds since the start of the command."""
    print(f"[{time.monotonic() - _START:4.0f} s] {text}", flush=True)


def each(items: Sequence[T], what: str, *, until_s: float = math.inf) -> Iterator[T]:
    """The items, each of them said before it is given.

    Args:
        items: texts or tuples of them, which are shown; anything else is only counted.
        what: is done with them.
        until_s: after so many seconds of the command the rest is left out, and said to be.
    """
    for number, item in enumerate(items, 1):
        if time.monotonic() - _START > until_s:
            note(f"{what}: {until_s:.0f} s are over, left out: {'; '.join(map(_shown, items[number - 1 :]))}")
            return
        note(f"{what} {number}/{len(items)}: {_shown(item)}".removesuffix(": "))
        yield item


def _shown(item: object) -> str:
    return ", ".join(item) if isinstance(item, tuple) else item if isinstance(item, str) else ""
