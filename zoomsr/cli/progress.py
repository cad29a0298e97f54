"""Progress of what takes long: a bar in a terminal, a line each minute in a log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from zoomsr.cli.console import CONSOLE, printable, say

LINE_INTERVAL_S = 60.0
"""Between two lines of a log."""

T = TypeVar("T")


def progress_bar() -> LogBar:
    """A bar that counts items; a total may be None, where it is not known."""
    return LogBar(MofNCompleteColumn(), count=_items)


def pixel_bar() -> LogBar:
    """A bar that counts output pixels."""
    # A long period: between the pixels of two pictures lie the seconds in which one is encoded.
    return LogBar(TextColumn("{task.completed:,.0f} of {task.total:,.0f} pixels"), count=_share, period_s=600.0)


def download_bar() -> LogBar:
    """A bar that counts bytes, with the rate."""
    return LogBar(DownloadColumn(), TransferSpeedColumn(), count=_share)


def track(items: Sequence[T], description: str) -> Iterator[T]:
    """The items, with a bar.

    Not by ``Progress.track``, which counts nothing until the end where there is no terminal.
    """
    with progress_bar() as bar:
        task = bar.add_task(description, total=len(items))
        for item in items:
            yield item
            bar.advance(task)


class LogBar(Progress):
    """rich's bar, with the time left; where the output is no terminal, a line of the same each minute.

    Args:
        columns: between the bar and the time left.
        count: what is done of a task, in a line.
        period_s: the time left follows from the speed of so many last seconds; in a line, from that of all.
    """

    def __init__(self, *columns: ProgressColumn, count: Callable[[Task], str], period_s: float = 30.0) -> None:
        shown = (TextColumn("{task.description}", markup=False), BarColumn(), *columns, TimeRemainingColumn())
        quiet = not CONSOLE.is_terminal
        super().__init__(*shown, console=CONSOLE, transient=True, disable=quiet, speed_estimate_period=period_s)
        self._count = count
        self._is_over = threading.Event()
        self._printer = threading.Thread(target=self._print_lines, name="progress lines", daemon=True)

    def start(self) -> None:
        """See ``Progress``."""
        super().start()
        if self.disable and self._printer.ident is None:
            self._printer.start()

    def stop(self) -> None:
        """See ``Progress``; no line comes after it."""
        self._is_over.set()
        if self._printer.ident is not None:
            self._printer.join()
        super().stop()

    @property
    def lines(self) -> list[str]:
        """Of each task that is not done: ``images  12 of 600, about 40 min left``."""
        return [self._line(task) for task in self.tasks if not task.finished]

    def _line(self, task: Task) -> str:
        return f"{task.description}  {self._count(task)}{time_left(task.completed, task.total, task.elapsed or 0.0)}"

    def _print_lines(self) -> None:
        while not self._is_over.wait(LINE_INTERVAL_S):
            for line in self.lines:
                say({"progress": line})


def _items(task: Task) -> str:
    return f"{task.completed:,.0f}" + ("" if task.total is None else f" of {task.total:,.0f}")


def _share(task: Task) -> str:
    return f"{task.completed / task.total:.0%}" if task.total else "0%"


def time_left(done: float, total: float | None, seconds: float) -> str:
    """``, about 12 min left``, by the seconds that were needed so far; empty where nothing can be said."""
    return f", about {duration(seconds * (total - done) / done)} left" if total and 0 < done < total else ""


class PixelProgress:
    """Output pixels that are done, of a total that is known before.

    Args:
        bar: see ``pixel_bar``.
        total: pixels of the whole batch.
    """

    def __init__(self, bar: LogBar, total: int) -> None:
        self._bar, self._task = bar, bar.add_task("", total=total)
        self._total, self._done, self._skipped = total, 0, 0

    def describe(self, label: str) -> None:
        """Name what is worked on."""
        self._bar.update(self._task, description=printable(label))

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


@contextmanager
def pixel_progress(total: int) -> Iterator[PixelProgress]:
    """A bar for a batch of so many pixels."""
    with pixel_bar() as bar:
        yield PixelProgress(bar, total)


def duration(seconds: float) -> str:
    """``40 s``, ``8 min`` or ``3 h 20 min``; never 0."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
