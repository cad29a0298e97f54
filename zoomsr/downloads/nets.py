"""Nets by address: fetched once, with their card, and held against the sha256 that the address ends with.

The hash stands for the weights alone, whoever serves them; what the card says is the server's word, as far as opening
does not check it (``Card.require``). Of both no code is run.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from zoomsr.downloads.http import fetch, is_safe, read
from zoomsr.runs.files import cache_folder, sha256_of, write_text

_SUFFIX = ".safetensors"
_MAX_CARD_BYTES = 2**24  # with the photographs of a training one by one it has a tenth of a megabyte


@cache  # a large file's hash takes a moment
def fetched(address: str) -> Path:
    """The file of weights of an address, in the user's cache with its card.

    Args:
        address: ``https://HOST/PATH/NAME.safetensors#sha256=HEX``; ``NAME.json`` beside it is its card.

    Raises:
        ValueError: an address without a hash, of another kind of file, or not of https; no card, or one of other
            weights; nothing there; or bytes with another hash, which are not kept.
    """
    url, parts, sha256 = _parsed(address)
    weights = cache_folder() / "nets" / sha256 / f"{_name(parts.path)}{_SUFFIX}"
    card = weights.with_suffix(".json")
    if not card.is_file() or not weights.is_file() or sha256_of(weights) != sha256:
        text = _card(url, parts, sha256)
        fetch(weights, [url], sha256=sha256, other_ways="the path of a copy, its card beside it")
        write_text(card, text)
    return weights


def _parsed(address: str) -> tuple[str, SplitResult, str]:
    """What comes before the hash, whole and in parts, and the hash."""
    url, _, fragment = address.partition("#")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"{url} is no address: {error}") from None
    if "@" in parts.netloc:
        raise ValueError(f"an address on {parts.hostname} with a user's name or password in it is not fetched")
    if not is_safe(url):
        raise ValueError(f"{url} is not fetched: only https:// is")
    if not parts.path.endswith(_SUFFIX):
        raise ValueError(f"{url} is no {_SUFFIX} file: only such a file, with its card beside it, is fetched")
    if (digest := re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)) is None:
        given = f"#{fragment[:80]} is none" if fragment else "it has none"
        raise ValueError(f"{url} is fetched with a hash alone, and {given}: add #sha256= and 64 hexadecimal digits")
    return url, parts, digest[1].lower()


def _name(path: str) -> str:
    """The file's stem; of a ``model.safetensors`` the repository's, as Hugging Face's addresses have it."""
    *folders, file = (unquote(part) for part in path.split("/") if part)
    name = file.removesuffix(_SUFFIX)
    if name == "model" and folders:
        name = folders[folders.index("resolve") - 1] if "resolve" in folders[1:] else folders[-1]
    return re.sub(r"[^\w.-]+", "_", name)[:80].lstrip(".") or "net"


def _card(url: str, parts: SplitResult, sha256: str) -> str:
    """The text of the card, before anything else is fetched."""
    card = urlunsplit(parts._replace(path=f"{parts.path.removesuffix(_SUFFIX)}.json"))
    try:
        content = read(card, max_bytes=_MAX_CARD_BYTES)
    except ValueError as error:
        needs = f"{url} is not fetched without its card, which zoomsr.export writes beside it"
        raise ValueError(f"{needs}: {error}") from None
    try:
        text = content.decode()
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{card} is no card: {' '.join(str(error).split())}") from None
    said = facts.get("sha256") if isinstance(facts, dict) else None
    if said != sha256:
        raise ValueError(f"{card} is the card of other weights: it says sha256 {str(said)[:64]}")
    return text
