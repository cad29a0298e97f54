"""What may be asked of the page's server, by whom, and how much it keeps."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MOST_STORED = 2**30
"""Bytes of all visitors' photographs and results together; uploads beyond are refused until older ones are removed."""

_PAGES = frozenset({"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"})
_FOLDERS = ("/assets/", "/static/", "/svelte/", "/gradio_api/queue/", "/gradio_api/heartbeat/")
_UPLOAD = "/gradio_api/upload"
_JOIN = "/gradio_api/queue/join"
_CALLS = frozenset(f"/gradio_api/{name}" for name in ("upload_progress", "cancel", "reset", "startup-events"))
_EVERYWHERE = ("0.0.0.0", "::")

# Gradio starts by a script in its page and compiles the small functions that events run in the browser.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]

_Scope = MutableMapping[str, Any]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Gate:
    """Lets through what the page itself asks for: Gradio also fetches other machines' files and runs other tools.

    A page of another site must not use this server through the visitor's browser. Its requests carry that site's
    ``Origin``; after DNS rebinding, in which a name of the attacker's comes to mean 127.0.0.1, that name is the
    ``Host``. So a host is an address, ``localhost``, or a name that this server was started with.

    Args:
        app: behind it.
        folder: whose files may be asked for.
        host: that the server listens at.
        most_stored: bytes in the folder beyond which uploads are refused.
    """

    def __init__(
        self, app: Callable[..., Awaitable[None]], *, folder: str, host: str, most_stored: int = MOST_STORED
    ) -> None:
        self._app = app
        self._folder = Path(folder)
        self._files = f"/gradio_api/file={folder}/"
        self._names = {"localhost", socket.gethostname().lower() if host in _EVERYWHERE else host.lower()}
        self._most_stored = most_stored
        self._arriving = 0

    async def __call__(self, scope: _Scope, receive: Callable[..., Any], send: _Send) -> None:
        """As ASGI says."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":  # the page has none
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
        if not self._is_own_site(headers):
            await _refuse(send, 403, "this page answers only to the address that it was opened at")
        elif not self._is_ours(scope.get("path", "")):
            await _refuse(send, 404, "not found")
        elif scope["path"] == _UPLOAD:
            await self._upload(headers.get("content-length", ""), scope, receive, send)
        elif scope["path"] == _JOIN:
            try:
                await self._app(scope, receive, _with_headers(send))
            except (KeyError, IndexError):  # Gradio looks the event up by whatever number it is sent
                await _refuse(send, 404, "there is no such event")
        else:
            await self._app(scope, receive, _with_headers(send))

    async def _upload(self, length: str, scope: _Scope, receive: Callable[..., Any], send: _Send) -> None:
        if not length.isdecimal():
            await _refuse(send, 411, "an upload must say how long it is")
            return
        if self._arriving + int(length) > self._most_stored - _stored(self._folder):
            await _refuse(send, 413, "there is no room for another photograph now: try again in an hour")
            return
        self._arriving += int(length)
        try:
            await self._app(scope, receive, _with_headers(send))
        finally:
            self._arriving -= int(length)

    def _is_own_site(self, headers: dict[str, str]) -> bool:
        host, origin = headers.get("host", ""), headers.get("origin")
        return self._is_known(host) and (origin is None or urlsplit(origin).netloc.lower() == host.lower())

    def _is_known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self._names or bool(ipaddress.ip_address(name))
        except ValueError:
            return False

    def _is_ours(self, path: str) -> bool:
        if ".." in path.split("/"):
            return False
        return path in _PAGES | _CALLS | {_UPLOAD} or path.startswith((*_FOLDERS, self._files))


def _stored(folder: Path) -> int:
    return sum(_size(path) for path in folder.rglob("*"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # removed in the meantime
        return 0


def _with_headers(send: _Send) -> _Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*_unset(message.get("headers", ())), *_HEADERS]}
        await send(message)

    return sending


def _unset(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Without those that are set here."""
    own = {name for name, _ in _HEADERS}
    return [(name, value) for name, value in headers if name.lower() not in own]


async def _refuse(send: _Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain"), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
