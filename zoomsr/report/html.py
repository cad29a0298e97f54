"""Blocks of HTML; every word that is not ours is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

MAX = 4_500_000
"""Bytes of all figures of a page: it goes by mail, and opens on a telephone."""

_TYPES = {".svg": "image/svg+xml", ".webp": "image/webp"}


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Attributes:
        name: of its files in ``figures/``.
        caption: below it.
        alt: instead of it.
        data: of an SVG or WebP file.
        suffix: which of both.
        size: width and height in CSS pixels.
    """

    name: str
    caption: str
    alt: str
    data: bytes
    suffix: str
    size: tuple[int, int]


def word_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, marked: int | None = None) -> str:
    """A table of words; the cells of column ``marked`` stand out."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = ""
    for first, *others in rows:
        cells = "".join(f"<td{mark('state', n == marked)}>{escape(text)}</td>" for n, text in enumerate(others, 1))
        body += f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'
    return f'{scroll(heads[0])}<table class="words"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def facts(pairs: Mapping[str, str]) -> str:
    """A list of terms and what they are."""
    return f"<dl>{''.join(f'<dt>{escape(key)}</dt><dd>{escape(text)}</dd>' for key, text in pairs.items())}</dl>"


def folded(summary: str, text: str) -> str:
    """Text as it is, which opens when its summary is pressed."""
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def gallery(pictures: Sequence[Picture], *, room: int = MAX) -> str:
    """The figures, one below the other; those for which there is no room are only named."""
    body, left = "", room
    for picture in pictures:
        source = f"data:{_TYPES[picture.suffix]};base64,{base64.b64encode(picture.data).decode()}"
        shown = f'<img src="{source}" alt="{escape(picture.alt)}" width="{picture.size[0]}" height="{picture.size[1]}">'
        caption = escape(picture.caption)
        if len(shown) > left:
            place = f"figures/{escape(picture.name)}.png"
            body += f'<p class="quiet">{caption} It is too large for this page: see {place}.</p>'
            continue
        left -= len(shown)
        body += f"<figure>{scroll(picture.name)}{shown}</div><figcaption>{caption}</figcaption></figure>"
    return body


def scroll(label: str) -> str:
    """Opens a box that scrolls sideways, also by keyboard."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">'


def mark(name: str, wanted: bool) -> str:
    """The class of an element, where it is wanted."""
    return f' class="{name}"' if wanted else ""
