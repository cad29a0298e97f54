"""Files over HTTP: from several mirrors, resumed, held against their sha256."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import sleep

import httpx
from rich.filesize import decimal

from zoomsr.cli.console import say
from zoomsr.cli.progress import download_bar
from zoomsr.runs.directories import locked
from zoomsr.runs.files import full_disk_explained, require_space, sha256_of, short

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each request

_TIMEOUT = 30.0  # seconds for a connection to open, and for silence in the middle of a download
_PROGRESS = 2**20  # bytes that an attempt must bring, so that it does not count as a failure in a row
_SAFE = re.compile(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?([/?#]|$)", re.IGNORECASE)


def fetch(
    path: Path, urls: Sequence[str], *, sha256: str, other_ways: str, size: int | None = None, attempts: int = 2
) -> Path:
    """Download a file, resuming an earlier attempt, and return its path; one that is there already is not asked for.

    An incomplete file is ``<name>.part``; only a file with the right sha256 gets the name. Unless one of the addresses
    is of plain http, no redirection leads there.

    Args:
        path: of the file; its folder is made where it is missing.
        urls: where the file is, the best address first.
        sha256: of the file, in hexadecimal digits.
        other_ways: what an error names beside running the same command again.
        size: in bytes, where it is known before.
        attempts: failures in a row after which it gives up.

    Raises:
        ValueError: no address has it, the last attempt failed, it is altered, or the disk is full.
    """

    def is_there() -> bool:
        return path.is_file() and sha256_of(path) == sha256

    if is_there():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    # A fixed name, not atomic_write's: the next attempt resumes from this file.
    part = path.with_name(f"{path.name}.part")
    with locked(path.parent), full_disk_explained(part), _client(https=all(map(is_safe, urls))) as client:
        if is_there():  # another process has fetched it
            return path
        say({"fetching": f"{path.name}{'' if size is None else f', {decimal(size)}'}, into {short(path.parent)}"})
        with download_bar() as bar:
            task = bar.add_task(path.name, total=size)
            download = _Download(client, part, size, lambda done, total: bar.update(task, completed=done, total=total))
            source = download.complete(urls, attempts=attempts, other_ways=other_ways)
        if (digest := sha256_of(part)) != sha256:
            part.unlink()
            altered = f"{path.name} from {source} is altered and not kept (sha256 {digest}, not {sha256})"
            raise ValueError(f"{altered}: run the same command again, or with {other_ways}")
        return part.replace(path)


def read(url: str, *, max_bytes: int) -> bytes:
    """A small file, over https.

    Raises:
        ValueError: it is not there, cannot be fetched, or is larger than ``max_bytes``.
    """
    content = b""
    try:
        with _client(https=True) as client, client.stream("GET", url) as response:
            _require(response, 200)
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > max_bytes:
                    raise _RefusedError(f"is larger than {max_bytes} bytes")
    except (_RefusedError, httpx.RequestError, httpx.InvalidURL) as error:
        raise ValueError(f"{url} {str(error) or type(error).__name__}") from None
    return content


def is_safe(url: str) -> bool:
    """Whether an address is of https, or of http on this machine."""
    return _SAFE.match(url) is not None


class _RefusedError(Exception):
    """An answer that the same address would give again."""


class _Download:
    """A file that grows; its size is known from the first answer on."""

    def __init__(
        self, client: httpx.Client, path: Path, size: int | None, progress: Callable[[int, int | None], object]
    ) -> None:
        self._client, self._path, self._size, self._progress = client, path, size, progress

    @property
    def _n_bytes(self) -> int:
        return self._path.stat().st_size if self._path.is_file() else 0

    def complete(self, urls: Sequence[str], *, attempts: int, other_ways: str) -> str:
        """Ask one address after the other until all bytes are there; returns the one that sent the last of them."""
        if self._size is not None and self._n_bytes > self._size:
            self._path.unlink()
        waiting, answers, failures, url = deque(urls), dict[str, str](), 0, "an earlier run"
        while (before := self._n_bytes) != self._size:
            if not waiting or failures >= attempts:
                why = "; ".join(f"{url} {answer}" for url, answer in answers.items())
                what_next = f"the same command resumes from {before} bytes, also with {other_ways}"
                raise ValueError(f"{self._path.stem} cannot be fetched ({why}): {what_next}")
            if failures:
                sleep(min(2 ** (failures - 1), 60))
            url = waiting.popleft()
            try:
                self._receive(url, before)
            except (_RefusedError, httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
                answers[url] = str(error)
            except httpx.RequestError as error:
                answers[url] = str(error) or type(error).__name__
                waiting.append(url)
                failures = 1 if self._n_bytes - before >= _PROGRESS else failures + 1
        return url

    def _receive(self, url: str, asked: int) -> None:
        with self._client.stream("GET", url, headers={"Range": f"bytes={asked}-"} if asked else {}) as response:
            start = self._first_byte(response, asked)
            if start is not None:
                self._append(response, start)
                return
        self._receive(url, 0)  # without a range, which is answered from the first byte on

    def _first_byte(self, response: httpx.Response, asked: int) -> int | None:
        """Where in the file an answer's bytes begin; None where they do not continue from ``asked``."""
        status = response.status_code
        if status == 429 or status >= 500:
            raise httpx.RemoteProtocolError(_answer(response))  # worth another try, like the errors of httpx itself
        _require(response, *((200, 206, 416) if asked else (200,)))
        place, _, offered = response.headers.get("Content-Range", "").partition("/")  # "bytes 5-9/10", "bytes */10"
        if status == 200:  # for the others this is the length of the rest, or of a page that explains the error
            offered = response.headers.get("Content-Length", "")
        if offered.isdecimal():
            if self._size not in (None, int(offered)):
                raise _RefusedError(f"offers {offered} bytes, expected {self._size}")
            self._size = int(offered)
        if status == 200:
            return 0
        return asked if status == 206 and place.startswith(f"bytes {asked}-") else None

    def _append(self, response: httpx.Response, start: int) -> None:
        require_space(self._path.parent, (self._size or 0) - self._n_bytes, what=self._path.stem)
        done = start
        with self._path.open("ab" if start else "wb") as file:
            self._progress(done, self._size)
            for chunk in response.iter_raw():  # of any size: with a fixed one, an unfinished chunk is lost
                done += len(chunk)
                if self._size is not None and done > self._size:
                    file.truncate(0)  # this is another file: nothing to resume
                    raise _RefusedError(f"sends more than {self._size} bytes")
                file.write(chunk)
                self._progress(done, self._size)
        self._size = self._size or done
        if done < self._size:
            raise httpx.RemoteProtocolError(f"stopped after {done} of {self._size} bytes")


def _require(response: httpx.Response, *statuses: int) -> None:
    if response.status_code not in statuses:
        raise _RefusedError(_answer(response))
    if response.status_code != 416 and "text/html" in response.headers.get("Content-Type", ""):
        raise _RefusedError("answered with a web page")


def _answer(response: httpx.Response) -> str:
    return f"answered {response.status_code} {response.reason_phrase}"


def _client(*, https: bool) -> httpx.Client:
    """A client that asks at safe addresses alone, also when it is redirected, or at any."""

    def require_safe(request: httpx.Request) -> None:
        if https and not is_safe(url := str(request.url)):
            raise ValueError(f"{url[:200]} is not fetched: only https:// is")

    headers = {"Accept-Encoding": "identity", "User-Agent": "zoomsr"}  # ranges and sizes count the file's own bytes
    hooks = {"request": [require_safe]}
    try:
        return httpx.Client(timeout=_TIMEOUT, follow_redirects=True, headers=headers, event_hooks=hooks)
    except ImportError as error:  # of a SOCKS proxy in the environment
        raise ValueError(str(error)) from None
