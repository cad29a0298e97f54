"""Progress of a long batch: a bar in a terminal, lines in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress

from zoomsr.cli.console import pixel_bar, printable, say

_LINE_INTERVAL_S = 60.0


class PixelProgress:
    """Output pixels that are done, of a total that is known before.

    Args:
        bar: of rich, disabled where there is no terminal.
        total: pixels of the whole batch.
    """

    def __init__(self, bar: Progress, total: int) -> None:
        self._bar, self._task = bar, bar.add_task("", total=total)
        self._total, self._done, self._skipped = total, 0, 0
        self._label, self._start = "", time.monotonic()

    def describe(self, label: str) -> None:
        """Name what is worked on."""
        self._label = printable(label)
        self._bar.update(self._task, description=self._label)

    def advance(self, pixels: int) -> None:
        """Further pixels are done."""
        self.reach(self._done + pixels)

    def skip(self, pixels: int) -> None:
        """Further pixels need not be computed: they count neither as done nor as waiting, nor in the time left."""
        self._skipped += pixels
        self._bar.update(self._task, total=self._total - self._skipped)
        self.advance(pixels)

    def reach(self, pixels: int) -> None:
        """So many pixels in all are done, or will not be: at the end of each picture, also of one that failed."""
        self._done = pixels
        self._bar.update(self._task, completed=pixels - self._skipped)

    @property
    def line(self) -> str:
        """``3 of 40  a.jpg  7 %, about 12 min left``."""
        total = self._total - self._skipped
        share = (self._done - self._skipped) / total if total else 0.0
        passed = time.monotonic() - self._start
        left = f", about {duration(passed * (1 - share) / share)} left" if share else ""
        return f"{self._label}  {share:.0%}{left}"


@contextmanager
def pixel_progress(total: int) -> Iterator[PixelProgress]:
    """A bar with the time left; where the output is no terminal, a line of the same each minute."""
    with pixel_bar() as bar:
        progress, is_over = PixelProgress(bar, total), threading.Event()

        def print_lines() -> None:
            while not is_over.wait(_LINE_INTERVAL_S):
                say({"progress": progress.line})

        printer = threading.Thread(target=print_lines, daemon=True)
        if bar.disable:
            printer.start()
        try:
            yield progress
        finally:
            is_over.set()
            if printer.ident is not None:
                printer.join()


def duration(seconds: float) -> str:
    """``40 s``, ``8 min`` or ``3 h 20 min``; never 0."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
