"""Nets by address: fetched once, with their card, and held against the sha256 that the address ends with.

The hash stands for the weights alone, whoever serves them; what the card says is the server's word, as far as opening
does not check it (``Card.require``). Of both no code is run.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from zoomsr.runs.files import atomic_write, cache_folder, full_disk_explained, require_space, sha256_of, write_text

_SUFFIX = ".safetensors"
_HERE = ("127.0.0.1", "localhost", "::1")
_TIMEOUT = 30.0  # seconds of silence
_CHUNK = 2**16
_MAX_CARD_BYTES = 2**24  # with the photographs of a training one by one it has a tenth of a megabyte


class _Address(NamedTuple):
    """Where weights and their card are, what their sha256 is, and how the net is called."""

    weights: str
    card: str
    sha256: str
    name: str


def fetched(address: str) -> Path:
    """The file of weights of an address, in the user's cache with its card.

    Args:
        address: ``https://HOST/PATH/NAME.safetensors#sha256=HEX``; ``NAME.json`` beside it is its card.

    Raises:
        ValueError: an address without a hash, of another kind of file, or not of https; no card, or one of other
            weights; nothing there; or bytes with another hash, which are not kept.
    """
    return _fetched(address, cache_folder() / "nets")


@cache
def _fetched(address: str, folder: Path) -> Path:
    """Once in a process: a large file's hash takes a moment."""
    found = _parsed(address)
    weights = folder / found.sha256 / f"{found.name}{_SUFFIX}"
    card = weights.with_suffix(".json")
    if card.is_file() and weights.is_file() and sha256_of(weights) == found.sha256:
        return weights
    weights.parent.mkdir(parents=True, exist_ok=True)
    text = _card(found)
    with full_disk_explained(weights):
        _download(found, weights)
        write_text(card, text)
    return weights


def _parsed(address: str) -> _Address:
    url, _, fragment = address.partition("#")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise ValueError(f"{url} is no address: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"an address on {host} with a user's name or password in it is not fetched")
    _require_safe(parts)
    if not parts.path.endswith(_SUFFIX):
        raise ValueError(f"{url} is no {_SUFFIX} file: only such a file, with its card beside it, is fetched")
    if (digest := re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)) is None:
        given = f"#{fragment[:80]} is none" if fragment else "it has none"
        raise ValueError(f"{url} is fetched with a hash alone, and {given}: add #sha256= and 64 hexadecimal digits")
    card = urlunsplit(parts._replace(path=f"{parts.path.removesuffix(_SUFFIX)}.json"))
    return _Address(url, card, digest[1].lower(), _name(parts.path))


def _require_safe(parts: SplitResult) -> None:
    """Raises ValueError for anything but https; this machine may use http."""
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
        raise ValueError(f"{urlunsplit(parts)[:200]} is not fetched: only https:// is")


def _name(path: str) -> str:
    """The file's stem; of a ``model.safetensors`` the repository's, as Hugging Face's addresses have it."""
    *folders, file = (unquote(part) for part in path.split("/") if part)
    name = file.removesuffix(_SUFFIX)
    if name == "model" and folders:
        name = folders[folders.index("resolve") - 1] if "resolve" in folders[1:] else folders[-1]
    return re.sub(r"[^\w.-]+", "_", name)[:80].lstrip(".") or "net"


def _card(address: _Address) -> str:
    """The card, before anything else is fetched."""
    parts: list[bytes] = []
    try:
        _receive(address.card, lambda total: None, parts.append, most=_MAX_CARD_BYTES)
    except FileNotFoundError:
        raise ValueError(
            f"{address.weights} has no card {address.card} beside it, without which nothing is known of the net: "
            "zoomsr.export writes both"
        ) from None
    try:
        text = b"".join(parts).decode()
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{address.card} is no card: {' '.join(str(error).split())}") from None
    said = content.get("sha256") if isinstance(content, dict) else None
    if said != address.sha256:
        raise ValueError(f"{address.card} is the card of other weights: it says sha256 {str(said)[:64]}")
    return text


def _download(address: _Address, path: Path) -> None:
    from zoomsr.cli.console import say
    from zoomsr.cli.progress import download_bar

    say({"net": f"fetching {address.name} from {urlsplit(address.weights).hostname}, once"})
    digest = hashlib.sha256()
    with atomic_write(path) as file, download_bar() as bar:
        task = bar.add_task(address.name, total=None)

        def begin(total: int | None) -> None:
            bar.update(task, total=total)
            require_space(path.parent, total or 0, what=address.name)

        def keep(chunk: bytes) -> None:
            file.write(chunk)
            digest.update(chunk)
            bar.advance(task, len(chunk))

        try:
            _receive(address.weights, begin, keep)
        except FileNotFoundError:
            raise ValueError(f"{address.weights} cannot be fetched: there is no such file (404)") from None
        if digest.hexdigest() != address.sha256:  # nothing is kept: the partial file has another name
            raise ValueError(
                f"{address.weights} has sha256 {digest.hexdigest()}, not {address.sha256}: it is altered, or another "
                "net, and is not kept"
            )


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirection to where an address may not lead."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """See urllib."""
        _require_safe(urlsplit(newurl))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(
    url: str, begin: Callable[[int | None], object], keep: Callable[[bytes], object], *, most: int | None = None
) -> None:
    """GET: ``begin`` gets the number of bytes, where the server says it, and ``keep`` each of its parts.

    Raises:
        FileNotFoundError: 404.
        ValueError: any other failure.
    """

    def fail(reason: object) -> NoReturn:
        raise ValueError(f"{url} cannot be fetched: {' '.join(str(reason).split())}")

    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "zoomsr"})
    try:
        with urllib.request.build_opener(_HttpsRedirects).open(request, timeout=_TIMEOUT) as response:
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            begin(total)
            done = 0
            while chunk := response.read(_CHUNK):
                done += len(chunk)
                if most is not None and done > most:
                    fail(f"it is larger than {most} bytes")
                keep(chunk)
    except urllib.error.HTTPError as error:
        if error.code == http.client.NOT_FOUND:
            raise FileNotFoundError(url) from None
        fail(f"HTTP {error.code} {error.reason}")
    except urllib.error.URLError as error:
        fail(error.reason)
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        fail(error or type(error).__name__)
    if total is not None and done < total:
        fail(f"it ended after {done} of {total} bytes")
