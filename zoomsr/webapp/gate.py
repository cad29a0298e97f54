"""ASGI middleware: which requests the page's server answers, of which sites, and how much it stores."""

from __future__ import annotations

import ipaddress
import json
import socket
import tempfile
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

MAX_STORED = 2**30
"""Bytes of all visitors' photographs and results together; uploads beyond are refused until older ones are removed."""

_PAGES = frozenset({"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"})
_FOLDERS = ("/assets/", "/static/", "/svelte/", "/gradio_api/queue/", "/gradio_api/heartbeat/")
_UPLOAD = "/gradio_api/upload"
_JOIN = "/gradio_api/queue/join"
_CALLS = frozenset(f"/gradio_api/{name}" for name in ("upload_progress", "cancel", "reset", "startup-events"))
_MAX_ASKED = 2**16  # bytes of a request that is no upload
_EVERYWHERE = ("0.0.0.0", "::")
_WAYS = ("http", "https")

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
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
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
        actions: numbers of the page's functions, and how many inputs each has.
        most_stored: bytes in the folder beyond which uploads are refused.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        *,
        folder: str,
        host: str,
        actions: Mapping[int, int],
        most_stored: int = MAX_STORED,
    ) -> None:
        self._app = app
        self._folder = Path(folder)
        self._files = f"/gradio_api/file={folder}/"
        self._names = {"localhost", socket.gethostname().lower() if host in _EVERYWHERE else host.lower()}
        self._actions = actions
        self._most_stored = most_stored
        self._arriving = 0

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
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
        elif not self._is_ours(scope):
            await _refuse(send, 404, "not found")
        elif scope["path"] == _UPLOAD:
            await self._upload(headers.get("content-length", ""), scope, receive, send)
        elif scope.get("method") == "POST":
            await self._ask(scope, receive, send)
        else:
            try:
                await self._app(scope, receive, _with_headers(send))
            except RuntimeError as error:
                # Gradio ends the events of a session that it does not know with a 404 after it has begun to answer.
                if getattr(error.__cause__, "status_code", None) != 404:
                    raise
                await send({"type": "http.response.body", "body": b""})

    async def _ask(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        body = await _read(receive, _MAX_ASKED)
        if body is None:
            await _refuse(send, 413, "the request is too long")
        elif scope["path"] == _JOIN and not self._has_function(body):
            await _refuse(send, 404, "the page has no such function")
        else:
            await self._app(scope, _again(body, receive), _with_headers(send))

    async def _upload(self, length: str, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if not length.isdecimal():
            await _refuse(send, 411, "an upload must say how long it is")
            return
        if self._arriving + int(length) > self._most_stored - _stored(self._folder):
            await _refuse(send, 413, "there is no room for another photograph now: try again in an hour")
            return
        self._arriving += int(length)
        try:
            await self._app(scope, _until_gone(receive), _with_headers(send))
        except ConnectionAbortedError:
            pass  # nobody is there to be told
        except (TypeError, AttributeError, LookupError, ValueError):
            # Gradio's reader of forms fails so at a field that is no file, or a character set that does not exist.
            await _refuse(send, 400, "this is no upload of a file")
        finally:
            self._arriving -= int(length)
            if not self._arriving:
                _remove_partial(self._folder)

    def _has_function(self, body: bytes) -> bool:
        """Gradio fails at a function that it does not have, and at one with other inputs."""
        try:
            request = json.loads(body, object_hook=_without_address)
        except (ValueError, RecursionError):
            return False
        number, data = (request.get(key) if isinstance(request, dict) else None for key in ("fn_index", "data"))
        return type(number) is int and isinstance(data, list) and self._actions.get(number) == len(data)

    def _is_own_site(self, headers: dict[str, str]) -> bool:
        host, origin = headers.get("host", ""), headers.get("origin")
        if "@" in host or (origin is not None and origin.lower() not in (f"{way}://{host}".lower() for way in _WAYS)):
            return False
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self._names or bool(ipaddress.ip_address(name))
        except ValueError:
            return False

    def _is_ours(self, scope: _Scope) -> bool:
        path, query = scope.get("path", ""), parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if ".." in path.split("/") or query.get("page"):  # Gradio does not find a second page
            return False
        return path in _PAGES | _CALLS | {_UPLOAD} or path.startswith((*_FOLDERS, self._files))


def _without_address(value: dict[str, Any]) -> dict[str, Any]:
    """An object of a request. Gradio would fetch a file whose path is an address, from this machine."""
    if "://" in str(value.get("path")):
        raise ValueError("a file is uploaded, not named by its address")
    return value


async def _read(receive: _Receive, most: int) -> bytes | None:
    """The body of a request; None if it is longer than ``most``."""
    body, more = b"", True
    while more and len(body) <= most:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body if len(body) <= most else None


def _again(body: bytes, receive: _Receive) -> _Receive:
    """The body once more, then what follows."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return receiving


def _until_gone(receive: _Receive) -> _Receive:
    """Ends with an error of its own where the visitor goes away: Gradio's is a fault in the log."""

    async def receiving() -> MutableMapping[str, Any]:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        return message

    return receiving


def _remove_partial(folder: Path) -> None:
    """Uploads that were cut off: Gradio moves those that are complete into folders of their own."""
    for path in folder.iterdir():
        if path.is_file() and path.name.startswith(tempfile.gettempprefix()):
            path.unlink(missing_ok=True)


def _stored(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # removed in the meantime
            total += path.stat().st_size if path.is_file() else 0
    return total


def _with_headers(send: _Send) -> _Send:
    """Answers have the headers of this module in place of Gradio's."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in _HEADERS}
            kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in own]
            message = {**message, "headers": [*kept, *_HEADERS]}
        await send(message)

    return sending


async def _refuse(send: _Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain"), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
