"""What the page's server refuses: the gate by itself, and before a server."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from _support.page_server import function_number

from zoomsr.inference.targets import INPUT_SUFFIXES
from zoomsr.webapp import steps as page_steps
from zoomsr.webapp.gate import Gate

served = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="the page's test lacks gradio: make test-page brings it"
)


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/", True),
        ("/assets/index.js", True),
        ("/gradio_api/queue/join", True),
        ("/gradio_api/file=/own/a/b.png", True),
        ("/gradio_api/file=/own/../b.png", False),
        ("/gradio_api/file=/owned/b.png", False),
        ("/gradio_api/file=/etc/passwd", False),
        ("/gradio_api/file=http://127.0.0.1/", False),
        ("/gradio_api/proxy=http://127.0.0.1/", False),
        ("/assets/../../secret", False),
        ("/monitoring", False),
    ],
)
def test_only_what_the_page_needs_passes_the_gate(path: str, passes: bool) -> None:
    assert _asked(Gate(_answers, folder="/own", host="127.0.0.1", actions={}), path)[0]["status"] == (
        200 if passes else 404
    )


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:7860", None, 200),
        ("localhost:7860", "http://localhost:7860", 200),
        ("[::1]:7860", "http://[::1]:7860", 200),
        ("192.168.1.5:7860", "http://192.168.1.5:7860", 200),
        ("studio.example:7860", "http://studio.example:7860", 200),
        ("evil.example:7860", None, 403),  # DNS rebinding
        ("evil.example:7860", "http://evil.example:7860", 403),
        ("127.0.0.1:7860", "http://evil.example", 403),  # a form or script of another site
        ("127.0.0.1:7860", "http://127.0.0.1:9999", 403),
        ("127.0.0.1:7860", "null", 403),
        ("127.0.0.1:7860", "http://[", 403),
        ("evil@127.0.0.1:7860", None, 403),
        ("", None, 403),
        ("[::1", None, 403),
    ],
)
def test_another_site_does_not_pass_the_gate(host: str, origin: str | None, status: int) -> None:
    gate = Gate(_answers, folder="/own", host="studio.example", actions={})
    assert _asked(gate, "/config", host=host, origin=origin)[0]["status"] == status


def test_every_answer_forbids_frames_and_foreign_content() -> None:
    for path in ("/", "/nothing"):
        headers = dict(_asked(Gate(_answers, folder="/own", host="127.0.0.1", actions={}), path)[0]["headers"])
        assert headers[b"x-frame-options"] == b"DENY"
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert b"default-src 'self'" in headers[b"content-security-policy"]
        assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]


def test_uploads_are_bounded_in_all(tmp_path: Path) -> None:
    (tmp_path / "earlier.png").write_bytes(bytes(700))
    gate = Gate(_answers, folder=str(tmp_path), host="127.0.0.1", actions={}, most_stored=1000)
    for length, status in (("300", 200), ("301", 413), ("", 411), ("-5", 411)):
        sent = _asked(gate, "/gradio_api/upload", length=length)
        assert sent[0]["status"] == status, length
    assert b"no room for another photograph" in _asked(gate, "/gradio_api/upload", length="301")[1]["body"]


@pytest.mark.parametrize(
    ("request_body", "status"),
    [
        ({"fn_index": 7, "data": [1, 2]}, 200),
        ({"fn_index": 7, "data": [1]}, 404),
        ({"fn_index": 8, "data": [1, 2]}, 404),
        ({"fn_index": -1, "data": [1, 2]}, 404),
        ({"fn_index": "7", "data": [1, 2]}, 404),
        ({"fn_index": True, "data": []}, 404),
        ({"fn_index": [7], "data": [1, 2]}, 404),
        ({"data": [1, 2]}, 404),
        ([7], 404),
        ({"fn_index": 7, "data": ["x" * 70_000, 2]}, 413),
        ({"fn_index": 7, "data": [{"path": "/own/a.png", "url": "http://127.0.0.1:7860/a.png"}, 2]}, 200),
        ({"fn_index": 7, "data": [{"path": "http://127.0.0.1:9/a.png"}, 2]}, 404),
        ({"fn_index": 7, "data": [[{"video": {"path": "FILE:///etc/passwd"}}], 2]}, 404),
    ],
)
def test_only_functions_of_the_page_are_run(request_body: object, status: int) -> None:
    gate = Gate(_answers, folder="/own", host="127.0.0.1", actions={1: 0, 7: 2})
    body = json.dumps(request_body).encode()
    sent = _asked(gate, "/gradio_api/queue/join", body=body)
    assert sent[0]["status"] == status
    assert (sent[1]["body"] == body) == (status == 200)


def test_what_is_no_json_is_refused() -> None:
    gate = Gate(_answers, folder="/own", host="127.0.0.1", actions={7: 2})
    for body in (b"{", b"[" * 60_000, b"\0\xff"):
        assert _asked(gate, "/gradio_api/queue/join", body=body)[0]["status"] == 404


def test_there_is_no_second_page() -> None:
    gate = Gate(_answers, folder="/own", host="127.0.0.1", actions={})
    for query, status in (("__theme=dark", 200), ("page=", 200), ("view=api&page=zz", 404)):
        assert _asked(gate, "/", query=query)[0]["status"] == status, query


def test_a_websocket_is_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    gate = Gate(_answers, folder="/own", host="127.0.0.1", actions={})
    asyncio.run(gate({"type": "websocket", "path": "/gradio_api/queue/join"}, None, send))  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_an_upload_that_is_cut_off_or_malformed_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "photo.png").touch()

    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        (tmp_path / "tmpabc").write_bytes((await receive())["body"])
        await receive()
        if (await receive())["type"] == "http.disconnect":
            pytest.fail("Gradio logs a traceback where it hears that the visitor is gone")

    async def malformed(scope: Any, receive: Any, send: Any) -> None:
        (tmp_path / "tmpdef").touch()
        raise TypeError("File is not an instance of GradioUploadFile")

    for app, status in ((gradio, []), (malformed, [400])):
        gate = Gate(app, folder=str(tmp_path), host="127.0.0.1", actions={})
        sent = _asked(gate, "/gradio_api/upload", length="99", body=b"some of the bytes")
        assert [message["status"] for message in sent[:1]] == status
        assert sorted(path.name for path in tmp_path.iterdir()) == ["whole"]


def test_events_of_an_unknown_session_end_without_a_traceback() -> None:
    class NotFoundError(Exception):
        status_code = 404

    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("Caught handled exception, but response already started.") from NotFoundError()

    gate = Gate(gradio, folder="/own", host="127.0.0.1", actions={})
    assert _asked(gate, "/gradio_api/queue/data")[-1] == {"type": "http.response.body", "body": b""}


async def _answers(scope: Any, receive: Any, send: Any) -> None:
    """With what it was asked, if it was asked anything."""
    body = (await receive())["body"] if scope.get("method") == "POST" else b""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Frame-Options", b"ALLOWALL")]})
    await send({"type": "http.response.body", "body": body})


def _asked(
    gate: Gate,
    path: str,
    *,
    host: str = "127.0.0.1:7860",
    origin: str | None = None,
    length: str | None = None,
    body: bytes | None = None,
    query: str = "",
) -> list[dict[str, Any]]:
    """What is sent in answer to a request."""
    sent: list[dict[str, Any]] = []
    pieces = [body[:10], body[10:]] if body else []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        if not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    given = {"host": host, "origin": origin, "content-length": length}
    headers = [(name.encode(), value.encode()) for name, value in given.items() if value is not None]
    scope = {"type": "http", "path": path, "headers": headers, "query_string": query.encode()}
    asyncio.run(gate({**scope, "method": "POST" if body else "GET"}, receive, send))
    return sent


@served
@pytest.mark.slow
def test_200_megabytes_are_refused_by_the_server_too(page_address: str, page_folder: Path) -> None:
    def size() -> int:
        return sum(path.stat().st_size for path in page_folder.rglob("*") if path.is_file())

    before = size()
    reply = httpx.post(f"{page_address}/gradio_api/upload", files={"files": ("a.png", bytes(200 * 2**20))}, timeout=60)
    assert reply.status_code == 413
    assert size() - before < 2**20


@served
@pytest.mark.slow
def test_files_outside_of_its_folder_are_not_given(page_address: str, page_folder: Path, page_weights: Path) -> None:
    (own,) = page_folder.glob("zoomsr-demo-*")
    up = "/".join([".."] * 12)
    for path in (
        f"/gradio_api/file={page_weights}",
        "/gradio_api/file=/etc/passwd",
        f"/gradio_api/file={own}/../../server.log",
        f"/gradio_api/file={own}/%2e%2e/%2e%2e/server.log",
        f"/gradio_api/file={own}/..%2f..%2fserver.log",
        f"/gradio_api/file=file:///{page_weights}",
        f"/gradio_api/file={page_steps.__file__}",
        "/gradio_api/file=http://127.0.0.1:9/",
        "/gradio_api/proxy=http://127.0.0.1:9/",
        f"/gradio_api/file/{page_weights}",
        f"/static/{up}/etc/passwd",
        f"/assets/%2e%2e/{up}/etc/passwd",
        f"/svelte/..%2f..%2f{up}/etc/passwd",
        "/gradio_api/openapi.json",
        "/gradio_api/info",
        "/monitoring",
    ):
        with socket.create_connection(("127.0.0.1", int(page_address.rsplit(":", 1)[1]))) as line:
            # As it is written: clients would tidy the dots away.
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            said = b"".join(iter(lambda: line.recv(65536), b""))
        assert re.match(rb"HTTP/1.1 (403|404)", said), (path, said[:200])
        assert b"root:" not in said


@served
@pytest.mark.slow
def test_a_file_of_this_machine_cannot_be_named_as_an_upload(page_address: str, page_weights: Path) -> None:
    opening = function_number(page_address, "open")
    for path in (str(page_weights), "/etc/passwd", "http://127.0.0.1:9/a.png", "HTTP://127.0.0.1:9/a.png"):
        data = {"path": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
        body = {"data": [data], "fn_index": opening, "session_hash": "curious"}
        code = httpx.post(f"{page_address}/gradio_api/queue/join", json=body).status_code
        assert code == (404 if "://" in path else 200)
        if code == 404:
            continue
        said = ""
        with httpx.stream("GET", f"{page_address}/gradio_api/queue/data?session_hash=curious", timeout=60) as events:
            for line in events.iter_lines():
                said += line
                if "process_completed" in line:
                    break
        assert '"success":false' in said, said
        assert "not an image" not in said  # for then it would have been read


@served
@pytest.mark.slow
def test_photographs_of_every_suffix_that_is_read_may_be_chosen(page_address: str) -> None:
    parts = httpx.get(f"{page_address}/config").json()["components"]
    allowed = [part["props"]["file_types"] for part in parts if part["props"].get("file_types")]
    assert allowed == [["image", *sorted(INPUT_SUFFIXES)]]
