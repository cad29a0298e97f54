from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _support.http_server import Answer, Server, answer
from _support.zips import ALTERED, ARCHIVE, DATA, fill_disk, leave

from zoomsr.cli.progress import LogBar
from zoomsr.downloads import http
from zoomsr.downloads.http import fetch

Mirror = Callable[..., str]
SIZE = len(DATA)


def ranged(*, stop: int | None = None, stall: float = 0) -> Answer:
    """An honest server; ``stop`` drops the connection after so many bytes, ``stall`` seconds later."""

    def send(request: BaseHTTPRequestHandler) -> None:
        start = int((request.headers["Range"] or "bytes=0-")[6:-1])
        headers = {"Content_Range": f"bytes {start}-{SIZE - 1}/{SIZE}"} if start else {}
        answer(DATA[start:][:stop], 206 if start else 200, Content_Length=SIZE - start, **headers)(request)
        time.sleep(stall)

    return send


@pytest.fixture
def mirror(server: Server) -> Mirror:
    """Makes the server answer at ``/a``, then at ``/b``, ``/c``; returns the address."""

    def at_next_path(*answers: Answer) -> str:
        path = f"/{'abc'[len(server.answers)]}"
        server.answers[path] = list(answers)
        return server.address + path

    return at_next_path


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds to wait between attempts, which are not waited."""
    asked_for: list[float] = []
    monkeypatch.setattr(http, "sleep", asked_for.append)
    return asked_for


def bring(folder: Path, *urls: str, size: int | None = SIZE, attempts: int = 5) -> None:
    """Fetch, and hold the file against what was served."""
    path = folder / "set.zip"
    ways = "--mirror URL or --offline DIR"
    assert fetch(path, urls, sha256=ARCHIVE.sha256, size=size, other_ways=ways, attempts=attempts) == path
    assert path.read_bytes() == DATA
    assert {entry.name for entry in folder.iterdir()} <= {"set.zip", ".lock"}


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_dropped_connection_goes_on_where_it_stopped(
    server: Server, mirror: Mirror, tmp_path: Path, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(LogBar, "update", lambda bar, task, **told: heard.append(told))
    bring(tmp_path / "new" / "folder", mirror(ranged(stop=10_000), ranged()), size=size)
    assert server.asked == ["/a", "/a bytes=10000-"]
    done = [told["completed"] for told in heard]
    assert done == sorted(done)
    assert (done[0], done[-1], 10_000 in done, heard[0]["total"]) == (0, SIZE, True, SIZE)


def test_silence_is_a_dropped_connection(
    server: Server, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_TIMEOUT", 0.3)
    bring(tmp_path, mirror(ranged(stop=10_000, stall=0.6), ranged()))
    assert server.asked == ["/a", "/a bytes=10000-"]


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_server_without_ranges_and_sizes_begins_anew(
    server: Server, mirror: Mirror, tmp_path: Path, size: int | None
) -> None:
    leave(tmp_path, b"x" * 10_000)
    bring(tmp_path, mirror(answer(DATA, Content_Length=None)), size=size)
    assert server.asked == ["/a bytes=10000-"]


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize(
    "elsewhere",
    [
        answer(DATA[5:], 206, Content_Range=f"bytes 5-{SIZE - 1}/{SIZE}"),
        answer(DATA[1000:], 206),
        answer(DATA[10_000:], 206, Content_Range=f"bytes 10000-{SIZE - 1}/{SIZE}"),
        answer(b"<html>", 416, Content_Type="text/html"),
    ],
    ids=["other-start", "unsaid", "start-with-the-same-digits", "416"],
)
def test_an_answer_from_elsewhere_begins_anew(
    server: Server, mirror: Mirror, tmp_path: Path, elsewhere: Answer, size: int | None
) -> None:
    leave(tmp_path, DATA[:1000])
    bring(tmp_path, mirror(elsewhere, ranged()), attempts=1, size=size)
    assert server.asked == ["/a bytes=1000-", "/a"]


def test_a_refusal_asks_the_next_mirror(server: Server, mirror: Mirror, tmp_path: Path) -> None:
    refusals = ("ftp://nowhere/", "no address", mirror(answer(status=404)), mirror(answer(status=403)))
    bring(tmp_path, *refusals, mirror(ranged()), attempts=1)
    assert server.asked == ["/a", "/b", "/c"]


def test_trouble_that_passes_is_tried_again_on_the_next_mirror(server: Server, mirror: Mirror, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    first = mirror(answer(status=500), answer(status=429), ranged())
    bring(tmp_path, closed, first, mirror(answer(status=503)), attempts=8)
    assert server.asked == ["/a", "/b", "/a", "/b", "/a"]


def test_pauses_grow(mirror: Mirror, tmp_path: Path, pauses: list[float]) -> None:
    with pytest.raises(ValueError, match="answered 500 Internal"):
        bring(tmp_path, mirror(answer(status=500)), attempts=9)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_attempts_that_bring_something_do_not_count(
    server: Server, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_PROGRESS", 10_000)
    bring(tmp_path, mirror(ranged(stop=10_000)), attempts=2)
    assert len(server.asked) == SIZE // 10_000 + 1


def test_the_last_failure_says_why_and_keeps_what_came(server: Server, mirror: Mirror, tmp_path: Path) -> None:
    address = mirror(ranged(stop=10_000), answer(status=502))
    why = r"set\.zip cannot be fetched \(.*/a answered 502 Bad Gateway\).* resumes from 10000 bytes, .*--mirror"
    with pytest.raises(ValueError, match=why):
        bring(tmp_path, address, attempts=3)
    assert server.asked == ["/a", "/a bytes=10000-", "/a bytes=10000-"]
    assert (tmp_path / "set.zip.part").read_bytes() == DATA[:10_000]


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (answer(b"<html>log in</html>", Content_Type="text/html; charset=utf-8"), "answered with a web page"),
        (answer(DATA[:-9]), f"offers {SIZE - 9} bytes, expected {SIZE}"),
        (answer(DATA[1000:-9], 206, Content_Range=f"bytes 1000-9/{SIZE - 9}"), f"offers {SIZE - 9} bytes"),
        (answer(b"", 416, Content_Range="bytes */999"), "offers 999 bytes"),
        (answer(status=404), "answered 404 Not Found"),
    ],
    ids=["page", "shorter", "shorter-range", "shorter-than-the-part", "404"],
)
def test_what_is_not_the_file_is_refused(
    server: Server, mirror: Mirror, tmp_path: Path, refused: Answer, why: str
) -> None:
    part = leave(tmp_path, DATA[:1000])
    with pytest.raises(ValueError, match=rf"/a {why}.*--mirror URL or --offline DIR"):
        bring(tmp_path, mirror(refused))
    assert part.read_bytes() == DATA[:1000]
    assert len(server.asked) == 1


def test_bytes_beyond_the_size_are_refused(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"sends more than {SIZE} bytes"):
        bring(tmp_path, mirror(answer(DATA + b"more", Content_Length=None)))
    part = leave(tmp_path, DATA[:1000])
    content_range = f"bytes 1000-{SIZE - 1}/{SIZE}"
    with pytest.raises(ValueError, match=f"sends more than {SIZE} bytes"):
        bring(tmp_path, mirror(answer(DATA, 206, Content_Length=None, Content_Range=content_range)))
    assert part.read_bytes() == b""


def test_an_altered_file_is_not_kept(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"/a is altered and not kept.*--mirror URL or --offline DIR"):
        bring(tmp_path, mirror(answer(ALTERED)))
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_part_of_full_size_is_not_taken_for_the_file(server: Server, tmp_path: Path) -> None:
    part = leave(tmp_path, ALTERED)
    with pytest.raises(ValueError, match="from an earlier run is altered"):
        bring(tmp_path, server.address)
    assert not part.exists()
    leave(tmp_path, DATA)
    bring(tmp_path, server.address)
    assert server.asked == []


def test_a_part_that_is_too_large_begins_anew(server: Server, mirror: Mirror, tmp_path: Path) -> None:
    leave(tmp_path, DATA + b"more")
    bring(tmp_path, mirror(ranged()))
    assert server.asked == ["/a"]


def test_what_is_there_is_not_asked_for_and_what_is_damaged_is_replaced(
    server: Server, mirror: Mirror, tmp_path: Path
) -> None:
    path = leave(tmp_path, DATA, "set.zip")
    bring(tmp_path, mirror(ranged()))
    assert (server.asked, list(tmp_path.iterdir())) == ([], [path])
    path.write_bytes(ALTERED)
    bring(tmp_path, f"{server.address}/a")
    assert server.asked == ["/a"]


def test_one_of_two_processes_fetches(server: Server, mirror: Mirror, tmp_path: Path) -> None:
    address = mirror(ranged(stall=0.2))
    both = [threading.Thread(target=bring, args=(tmp_path, address)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert server.asked == ["/a"]


@pytest.mark.parametrize("size", [SIZE, None])
def test_space_is_counted_before_the_first_byte(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=SIZE - 1000))
    address = mirror(ranged())
    with pytest.raises(ValueError, match=r"\d+\.\d kB free, set\.zip needs \d+\.\d kB: free some"):
        bring(tmp_path, address, size=size)
    assert not (tmp_path / "set.zip.part").exists()
    leave(tmp_path, DATA[:1000])
    bring(tmp_path, address, size=size)


def test_a_full_disk_keeps_what_came(
    server: Server, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = mirror(ranged())
    with monkeypatch.context() as patched:
        fill_disk(patched, room=5000)
        with pytest.raises(ValueError, match=r"the disk is full, .*set\.zip\.part is not complete: free some"):
            bring(tmp_path, address)
    bring(tmp_path, address)
    assert server.asked == ["/a", "/a bytes=5000-"]
