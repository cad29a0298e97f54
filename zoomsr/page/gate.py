"""What may be asked of the page's server, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_PAGES = frozenset({"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"})
_FOLDERS = ("/assets/", "/static/", "/svelte/", "/gradio_api/queue/", "/gradio_api/heartbeat/")
_CALLS = frozenset(f"/gradio_api/{name}" for name in ("upload", "upload_progress", "cancel", "reset", "startup-events"))

_Scope = MutableMapping[str, Any]


class Gate:
    """Lets through what the page itself asks for: Gradio also fetches other machines' files and runs other tools.

    Args:
        app: behind it.
        folder: whose files may be asked for.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], *, folder: str) -> None:
        self._app = app
        self._files = f"/gradio_api/file={folder}/"

    async def __call__(self, scope: _Scope, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """As ASGI says."""
        if scope["type"] == "lifespan" or self._is_ours(scope.get("path", "")):
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"not found"})

    def _is_ours(self, path: str) -> bool:
        if ".." in path.split("/"):
            return False
        return path in _PAGES | _CALLS or path.startswith((*_FOLDERS, self._files))
