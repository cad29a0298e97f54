"""A server on this machine, which answers as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(body: bytes = b"", status: int = 200, **headers: object) -> Answer:
    """A fixed answer; ``Content_Length=None`` leaves that header out."""

    def send(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content_Length": len(body), **headers}.items():
            if value is not None:
                request.send_header(name.replace("_", "-"), str(value))
        request.end_headers()
        request.wfile.write(body)

    return send


@dataclass
class Server:
    """404 but for the paths that have answers.

    Attributes:
        address: of the server, without a slash at its end.
        answers: by path; the last one for good.
        asked: for each request ``/path``, or ``/path bytes=5-`` where a range was wanted.
    """

    address: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def reply(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"{request.path} {request.headers['Range'] or ''}".rstrip())
        answers = self.answers.get(request.path, [answer(status=404)])
        (answers.pop(0) if len(answers) > 1 else answers[0])(request)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.reply(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        found = Server(f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        http.shutdown()
        thread.join()
