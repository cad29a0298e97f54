import hashlib
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from _support.zips import ALTERED, ARCHIVE, DATA, fill_disk, leave

from zoomsr.data.div2k import download
from zoomsr.data.div2k.archives import check
from zoomsr.data.div2k.download import fetch

Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int = 200, body: bytes = DATA, **headers: object) -> Answer:
    """A fixed answer; ``Content_Length=None`` leaves that header out."""

    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content_Length": len(body), "Content_Type": "application/zip", **headers}.items():
            if value is not None:
                request.send_header(name.replace("_", "-"), str(value))
        request.end_headers()
        request.wfile.write(body)

    return send


def ranged(*, stop: int | None = None, stall: float = 0) -> Answer:
    """An honest server; ``stop`` drops the connection after so many bytes, ``stall`` seconds later."""

    def send(request: BaseHTTPRequestHandler) -> None:
        start = int((request.headers["Range"] or "bytes=0-")[6:-1])
        headers = {"Content_Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"} if start else {}
        answer(206 if start else 200, DATA[start:][:stop], Content_Length=len(DATA) - start, **headers)(request)
        time.sleep(stall)

    return send


class Mirrors:
    """Folders of a server on this machine; each has its answers, the last one for good, and notes what was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, str | None]] = []

    def __call__(self, *answers: Answer) -> str:
        name = "abc"[len(self.answers)]
        self.answers[name] = list(answers)
        return f"{self.address}/{name}/"

    def reply(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.split("/")[1]
        self.asked.append((name, request.headers["Range"]))
        answers = self.answers[name]
        (answers.pop(0) if len(answers) > 1 else answers[0])(request)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mirrors.reply(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        mirrors = Mirrors(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield mirrors
        server.shutdown()
        thread.join()


def bring(folder: Path, *mirrors: str, attempts: int = 5) -> list[int]:
    """Fetch, hold the file against what was served, and return the progress."""
    heard: list[int] = []
    path = fetch(ARCHIVE, folder, mirrors=mirrors, progress=heard.append, attempts=attempts, pause=0)
    assert path == folder / "set.zip"
    assert path.read_bytes() == DATA
    assert [entry.name for entry in folder.iterdir()] == ["set.zip"]
    return heard


def test_a_dropped_connection_goes_on_where_it_stopped(mirror: Mirrors, tmp_path: Path) -> None:
    heard = bring(tmp_path / "new" / "folder", mirror(ranged(stop=10_000), ranged()))
    assert mirror.asked == [("a", None), ("a", "bytes=10000-")]
    assert heard == sorted(heard)
    assert (heard[0], heard[-1], 10_000 in heard) == (0, len(DATA), True)


def test_silence_is_a_dropped_connection(mirror: Mirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", 0.3)
    bring(tmp_path, mirror(ranged(stop=10_000, stall=0.6), ranged()))
    assert mirror.asked == [("a", None), ("a", "bytes=10000-")]


def test_a_server_without_ranges_begins_anew(mirror: Mirrors, tmp_path: Path) -> None:
    leave(tmp_path, b"x" * 10_000)
    heard = bring(tmp_path, mirror(answer()))
    assert mirror.asked == [("a", "bytes=10000-")]
    assert (heard[0], heard[-1]) == (0, len(DATA))


@pytest.mark.parametrize(
    "elsewhere",
    [
        answer(206, DATA[5:], Content_Range=f"bytes 5-{len(DATA) - 1}/{len(DATA)}"),
        answer(206, DATA[1000:]),
        answer(206, DATA[10_000:], Content_Range=f"bytes 10000-{len(DATA) - 1}/{len(DATA)}"),
        answer(416, b"<html>", Content_Type="text/html"),
    ],
    ids=["other-start", "unsaid", "start-with-the-same-digits", "416"],
)
def test_an_answer_from_elsewhere_begins_anew(mirror: Mirrors, tmp_path: Path, elsewhere: Answer) -> None:
    leave(tmp_path, DATA[:1000])
    bring(tmp_path, mirror(elsewhere, ranged()), attempts=1)
    assert mirror.asked == [("a", "bytes=1000-"), ("a", None)]


def test_a_refusal_asks_the_next_mirror(mirror: Mirrors, tmp_path: Path) -> None:
    bring(tmp_path, "ftp://nowhere/", mirror(answer(404)), mirror(answer(403)), mirror(ranged()), attempts=1)
    assert mirror.asked == [("a", None), ("b", None), ("c", None)]


def test_trouble_that_passes_is_tried_again_on_the_next_mirror(mirror: Mirrors, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    bring(tmp_path, closed, mirror(answer(500), answer(429), ranged()), mirror(answer(503)), attempts=8)
    assert [name for name, _ in mirror.asked] == ["a", "b", "a", "b", "a"]


def test_pauses_grow(mirror: Mirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(ValueError, match="answered 500 Internal"):
        fetch(ARCHIVE, tmp_path, mirrors=[mirror(answer(500))], progress=print, attempts=9, pause=1.0)
    assert [pause for pause in pauses if pause] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_attempts_that_bring_something_do_not_count(
    mirror: Mirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "CHUNK", 10_000)
    bring(tmp_path, mirror(ranged(stop=10_000)), attempts=2)
    assert len(mirror.asked) == len(DATA) // 10_000 + 1


def test_the_last_failure_says_why_and_keeps_what_came(mirror: Mirrors, tmp_path: Path) -> None:
    address = mirror(ranged(stop=10_000), answer(502))
    with pytest.raises(ValueError, match=r"set\.zip answered 502 Bad Gateway\).* resumes from 10000 bytes, .*--mirror"):
        bring(tmp_path, address, attempts=3)
    assert mirror.asked == [("a", None), ("a", "bytes=10000-"), ("a", "bytes=10000-")]
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip.part"]
    assert bring(tmp_path, mirror(ranged()))[0] == 10_000


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (answer(body=b"<html>log in</html>", Content_Type="text/html; charset=utf-8"), "answered with a web page"),
        (answer(body=DATA[:-9]), f"offers {len(DATA) - 9} bytes, expected {len(DATA)}"),
        (answer(206, DATA[1000:-9], Content_Range=f"bytes 1000-9/{len(DATA) - 9}"), f"offers {len(DATA) - 9} bytes"),
        (answer(416, b"", Content_Range="bytes */999"), "offers 999 bytes"),
        (answer(404), "answered 404 Not Found"),
    ],
    ids=["page", "shorter", "shorter-range", "shorter-than-the-part", "404"],
)
def test_what_is_not_the_archive_is_refused(mirror: Mirrors, tmp_path: Path, refused: Answer, why: str) -> None:
    part = leave(tmp_path, DATA[:1000])
    with pytest.raises(ValueError, match=rf"/a/set\.zip {why}.*--mirror URL or --offline DIR"):
        bring(tmp_path, mirror(refused))
    assert part.read_bytes() == DATA[:1000]
    assert len(mirror.asked) == 1


def test_bytes_beyond_the_size_are_refused(mirror: Mirrors, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"sends more than {len(DATA)} bytes"):
        bring(tmp_path, mirror(answer(body=DATA + b"more", Content_Length=None)))
    leave(tmp_path, DATA[:1000])
    content_range = f"bytes 1000-{len(DATA) - 1}/{len(DATA)}"
    with pytest.raises(ValueError, match=f"sends more than {len(DATA)} bytes"):
        bring(tmp_path, mirror(answer(206, DATA, Content_Length=None, Content_Range=content_range)))
    assert bring(tmp_path, mirror(ranged()))[0] == 0


def test_an_altered_archive_is_removed(mirror: Mirrors, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"/a/set\.zip is altered.*--mirror URL or --offline DIR"):
        bring(tmp_path, mirror(answer(body=ALTERED)))
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_full_size_is_not_taken_for_the_archive(mirror: Mirrors, tmp_path: Path) -> None:
    leave(tmp_path, ALTERED)
    with pytest.raises(ValueError, match="from an earlier run is altered"):
        bring(tmp_path, mirror(ranged()))
    assert list(tmp_path.iterdir()) == []
    leave(tmp_path, DATA)
    assert bring(tmp_path, mirror(ranged())) == []
    assert mirror.asked == []


def test_a_part_that_is_too_large_begins_anew(mirror: Mirrors, tmp_path: Path) -> None:
    leave(tmp_path, DATA + b"more")
    bring(tmp_path, mirror(ranged()))
    assert mirror.asked == [("a", None)]


def test_what_is_there_is_checked_and_not_asked_for(tmp_path: Path) -> None:
    path = leave(tmp_path, DATA, "set.zip")
    assert bring(tmp_path) == [len(DATA)]
    path.write_bytes(ALTERED)
    with pytest.raises(
        ValueError, match=f"has sha256 {hashlib.sha256(ALTERED).hexdigest()}, expected {ARCHIVE.sha256}"
    ):
        bring(tmp_path)
    path.write_bytes(DATA[:7])
    with pytest.raises(ValueError, match=rf"set\.zip has 7 bytes, expected {len(DATA)}: remove it"):
        bring(tmp_path)
    with pytest.raises(ValueError, match=r"other\.zip is missing: put set\.zip there"):
        check(tmp_path / "other.zip", ARCHIVE)
    with pytest.raises(ValueError, match=r"no mirror has sent set\.zip \(none is given\)"):
        bring(tmp_path / "empty")


def test_space_is_counted_before_the_first_request(
    mirror: Mirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=len(DATA) - 1000))
    with pytest.raises(ValueError, match=r"\d+\.\d kB free, set\.zip needs \d+\.\d kB: free some"):
        bring(tmp_path, mirror(ranged()))
    assert mirror.asked == []
    leave(tmp_path, DATA[:1000])
    assert bring(tmp_path, mirror.address + "/a")[0] == 1000


def test_a_full_disk_keeps_what_came(mirror: Mirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = mirror(ranged())
    with monkeypatch.context() as patched:
        fill_disk(patched, room=5000)
        with pytest.raises(ValueError, match=r"the disk is full, .*set\.zip\.part is not complete: free some"):
            bring(tmp_path, address)
    assert (tmp_path / "set.zip.part").stat().st_size == 5000
    assert bring(tmp_path, address)[0] == 5000
