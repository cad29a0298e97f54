"""One page that holds everything and asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from zoomsr.report.captions import headline
from zoomsr.report.leaderboard import Table

GENERATOR = "zoomsr.compare"


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, and HTML below it."""

    title: str
    body: str


def page(title: str, *, tables: Sequence[Table], sections: Sequence[Section], footer: str) -> str:
    """The whole page.

    Args:
        title: plain text.
        tables: for the sentence at its head.
        sections: their bodies are HTML.
        footer: plain text.
    """
    style, script = _asset("page.css"), _asset("page.js")
    kept = [section for section in sections if section.body]
    links = "".join(f'<li><a href="#part-{n}">{escape(one.title)}</a></li>' for n, one in enumerate(kept))
    return Template(_asset("page.html")).substitute(
        title=escape(title),
        generator=GENERATOR,
        headline=escape(headline(tables)),
        contents=f"<ul>{links}</ul>",
        sections="\n".join(_section(number, section) for number, section in enumerate(kept)),
        footer=escape(footer),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def made_by_compare(index: Path) -> bool:
    """Whether a page is one of ours."""
    return index.is_file() and f'content="{GENERATOR}"' in index.read_text(encoding="utf-8", errors="replace")


def _section(number: int, section: Section) -> str:
    return f'<section id="part-{number}"><h2>{escape(section.title)}</h2>\n{section.body}\n</section>'


def _asset(name: str) -> str:
    return (files("zoomsr.report") / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    """What a Content-Security-Policy allows: this text and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
