"""Links of the Markdown files lead to files and headings of this repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for pattern in ("*.md", "conf/*.md", "docs/**/*.md", "experiments/**/*.md", "zoomsr/*/*.md")
    for page in ROOT.glob(pattern)
)
_CODE = re.compile(r"^```.*?^```|<!--.*?-->|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!\w+:)([^()\s]*)\)")


def _anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub and MyST name them in links."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    links = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.is_file() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            broken.append(link)
    return broken


def test_there_are_pages() -> None:
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert {"README.md", "conf/README.md", "zoomsr/data/README.md", "experiments/seed_study/README.md"} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert _broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# One heading, `code`\n```\n# no heading\n```\n")
    page = tmp_path / "a.md"
    good = "[a](b.md) [b](b.md#one-heading-code) [c](#here) [d](https://example.org/x) `[e](none)`\n# Here\n"
    page.write_text(f"{good}[f](c.md) [g](b.md#no-heading) ![h](c.png) [i](#there)\n```\n[j](none)\n```\n")
    assert _broken(page) == ["c.md", "b.md#no-heading", "c.png", "#there"]
