"""A user's mistake is one line and exit code 1; a bug is a traceback."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

DEBUG_VARIABLE = "ZOOMSR_DEBUG"


@contextmanager
def one_line_errors(*also: type[Exception], on_error: Callable[[], None] | None = None) -> Iterator[None]:
    """Print ValueError, OSError and the errors of ``also`` as one line and exit with 1; Ctrl-C exits with 130.

    With ``ZOOMSR_DEBUG=1`` the traceback is shown instead. ``on_error`` cleans up after such an error.
    """
    expected: tuple[type[Exception], ...] = (ValueError, OSError, *also)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except expected as error:
        if on_error is not None:
            on_error()
        if os.environ.get(DEBUG_VARIABLE) == "1":
            raise
        print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        sys.exit(1)


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """At most three known names that a mistyped one may mean: ``lr`` is the end of ``optimizer.lr``."""
    last = {text: text.rpartition(".")[2] for text in known}
    end = name.rpartition(".")[2]
    same_end = [text for text in known if last[text] == end]
    same_end.sort(key=lambda text: (not text.endswith(f".{name}"), text.count(".")))
    similar = difflib.get_close_matches(name, [text for text in known if text.count(".") == name.count(".")])
    similar_end = difflib.get_close_matches(end, set(last.values()), n=1)
    return (same_end or similar or [text for text in known if last[text] in similar_end])[:3]
