"""Archives over HTTP, with resume and several mirrors."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from zoomsr.data.div2k.archives import CHUNK, Archive, check, size_of
from zoomsr.runs.files import full_disk_explained, require_space, sha256_of

_OTHER_WAYS = "--mirror URL or --offline DIR"
_TIMEOUT = 30.0  # seconds for a connection to open, and for silence in the middle of a download


def fetch(
    archive: Archive,
    folder: Path,
    *,
    mirrors: Sequence[str],
    progress: Callable[[int], object],
    attempts: int = 5,
    pause: float = 1.0,
    other_ways: str = _OTHER_WAYS,
) -> Path:
    """Download an archive into a folder, resuming an earlier attempt; returns its path.

    An incomplete file is ``<name>.part``; only a file of the right size and sha256 has the archive's name.

    Args:
        archive: what to download.
        folder: where to; it is made where it is missing.
        mirrors: addresses of folders that hold the archive, the best one first.
        progress: called with the number of bytes that are there; it falls where a download restarts.
        attempts: failures in a row, with less than a MiB between them, after which it gives up.
        pause: seconds after the first failure; doubles with each further one, up to a minute.
        other_ways: options of the command that an error names.

    Raises:
        ValueError: no mirror has it, the last attempt failed, it is altered, or the disk is full.
    """
    path = folder / archive.name
    if path.is_file():
        check(path, archive)
        progress(archive.size)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    # A fixed name, not atomic_write's: the next attempt resumes from this file.
    part = _Part(archive, folder / f"{archive.name}.part", progress)
    if part.n_bytes > archive.size:
        part.path.unlink()
    require_space(folder, archive.size - part.n_bytes, what=archive.name)
    with full_disk_explained(part.path):
        source = _complete(part, mirrors, attempts=attempts, pause=pause, other_ways=other_ways)
    if (digest := sha256_of(part.path)) != archive.sha256:
        part.path.unlink()
        altered = f"{archive.name} from {source} is altered and removed (sha256 {digest}, not {archive.sha256})"
        raise ValueError(f"{altered}: run the same command again, or with {other_ways}")
    return part.path.replace(path)


class _RefusedError(Exception):
    """An answer that the same mirror would give again."""


@dataclass(frozen=True)
class _Part:
    archive: Archive
    path: Path
    progress: Callable[[int], object]

    @property
    def n_bytes(self) -> int:
        return size_of(self.path) or 0

    def receive(self, client: httpx.Client, url: str) -> None:
        asked = self.n_bytes
        with client.stream("GET", url, headers={"Range": f"bytes={asked}-"} if asked else {}) as response:
            start = _first_byte(response, asked=asked, size=self.archive.size)
            if start is not None:
                self._append(response, start)
        if start is None:
            self.path.unlink()
            self.receive(client, url)  # now without a range, so this happens once

    def _append(self, response: httpx.Response, start: int) -> None:
        done, size = start, self.archive.size
        with self.path.open("ab" if start else "wb") as file:
            self.progress(done)
            for chunk in response.iter_raw():  # of any size: with a fixed one, an unfinished chunk is lost
                done += len(chunk)
                if done > size:
                    file.truncate(0)  # this is another file: nothing to resume
                    raise _RefusedError(f"sends more than {size} bytes")
                file.write(chunk)
                self.progress(done)
        if done < size:
            raise httpx.RemoteProtocolError(f"stopped after {done} of {size} bytes")


def _complete(part: _Part, mirrors: Sequence[str], *, attempts: int, pause: float, other_ways: str) -> str:
    """Ask one mirror after the other until all bytes are there; returns the address that sent the last of them."""
    urls = deque(f"{mirror.rstrip('/')}/{part.archive.name}" for mirror in mirrors)
    url, answers, failures, most = "an earlier run", dict[str, str](), 0, part.n_bytes
    headers = {"Accept-Encoding": "identity"}  # ranges and sizes count the bytes of the file itself
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True, headers=headers) as client:
        while part.n_bytes < part.archive.size:
            if not urls or failures >= attempts:
                why = "; ".join(f"{mirror} {answer}" for mirror, answer in answers.items()) or "none is given"
                what_next = f"the same command resumes from {part.n_bytes} bytes, also with {other_ways}"
                raise ValueError(f"no mirror has sent {part.archive.name} ({why}): {what_next}")
            if failures:
                time.sleep(min(pause * 2 ** (failures - 1), 60))
            url = urls.popleft()
            try:
                part.receive(client, url)
            except (_RefusedError, httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
                answers[url] = str(error)
            except httpx.RequestError as error:
                answers[url] = str(error) or type(error).__name__
                urls.append(url)
                failures, most = (1, part.n_bytes) if part.n_bytes - most >= CHUNK else (failures + 1, most)
    return url


def _first_byte(response: httpx.Response, *, asked: int, size: int) -> int | None:
    """Where in the file an answer's bytes begin; None where they do not continue from ``asked``."""
    status, answer = response.status_code, f"answered {response.status_code} {response.reason_phrase}"
    if status == 429 or status >= 500:
        raise httpx.RemoteProtocolError(answer)  # worth another try, like the errors of httpx itself
    if status not in ((200, 206, 416) if asked else (200,)):
        raise _RefusedError(answer)
    if status != 416 and "text/html" in response.headers.get("Content-Type", ""):
        raise _RefusedError("answered with a web page")
    place, _, offered = response.headers.get("Content-Range", "").partition("/")  # "bytes 5-9/10", "bytes */10"
    if status == 200:  # for the others this is the length of the rest, or of a page that explains the error
        offered = response.headers.get("Content-Length", "")
    if offered.isdecimal() and int(offered) != size:
        raise _RefusedError(f"offers {offered} bytes, expected {size}")
    if status == 200:
        return 0
    return asked if status == 206 and place.startswith(f"bytes {asked}-") else None
