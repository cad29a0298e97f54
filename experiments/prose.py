"""Where a README is read as prose, and which numbers stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator

CODE = re.compile(  # a fenced block to its end or the file's; a span within its paragraph
    r"^[ \t]*(?P<fence>`{3,}|~{3,}).*?(?:^[ \t]*(?P=fence)[ \t]*$|\Z)"
    r"|(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)",
    re.MULTILINE | re.DOTALL,
)
_SILENT = re.compile(  # comments, headings, targets of links, tags, addresses, arXiv identifiers
    r"<!--.*?-->|^ {0,3}#{1,6} [^\n]*|(?<=\])\([^()\s]*(?:\s+\"[^\"]*\")?\)|</?[A-Za-z][^<>]*>|https?://\S+"
    r"|^\[[^\]]+\]:[^\n]*|arXiv[: ]\d{4}\.\d{4,5}",
    re.MULTILINE | re.DOTALL,
)
_UNITS = (
    r"dB|%|percent|per cent|[munµ]s|seconds?|min|minutes?|hours?|days?|[kKMGT]i?B|bytes|px|pixels?|megapixels?|levels?"
    r"|times|x|fps"
)
_APART = r"s|h|[\w-]+/s|[\w-]+ per second"  # 5 s, but not the 1990s
_UNIT = rf"[*_]{{0,3}}(?:[ \u00a0\n-]?(?:{_UNITS})|[ \u00a0\n-](?:{_APART}))(?!\w)"
# Decimals but for versions such as 2.13.0, and whole numbers with a unit; none that is glued to a letter.
_MEASURED = re.compile(rf"(?<![\w.,])[+\-\u2212]?\d+(?:,\d{{3}})*(?:\.\d+(?!\.?\d)(?:{_UNIT})?|{_UNIT})")


def without(pattern: re.Pattern[str], text: str) -> str:
    """As long as the text, with the same lines, and nothing to read where the pattern is found."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", "\0", match[0]), text)


def measured(text: str) -> Iterator[tuple[int, str]]:
    """Place and text of each decimal number and each number with a unit, in the text's prose."""
    for match in _MEASURED.finditer(without(_SILENT, without(CODE, text))):
        yield match.start(), " ".join(match[0].split())
