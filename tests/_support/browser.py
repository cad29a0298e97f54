"""A Chromium for the tests of pages."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

_CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def needs_browser(*packages: str) -> list[pytest.MarkDecorator]:
    """The marks of a module whose tests need a Chromium, playwright and these packages."""
    missing = [name for name in (*packages, "playwright") if importlib.util.find_spec(name) is None]
    missing += [] if _CHROMIUM else ["a chromium executable"]
    reason = f"the page's test lacks {', '.join(missing)}: make test-page brings it"
    return [pytest.mark.slow, pytest.mark.skipif(bool(missing), reason=reason)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_QUIET))
        yield chromium
        chromium.close()
