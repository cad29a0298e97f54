"""Nets by address, from a server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.zooming import PIXELS, SRCNN_CONFIG, Zoom
from PIL import Image

from zoomsr import load_model
from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.download import fetched
from zoomsr.pretrained.names import weights_file
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import sha256_of

REPOSITORY = "/someone/sharp-net/resolve/main/model"


@dataclass
class Server:
    """Bytes by path, or a place to which a path is redirected.

    Attributes:
        address: of the server.
        files: that it has.
        asked: paths in the order in which they were asked for.
        missing: bytes by which answers are shorter than their header says.
    """

    address: str
    files: dict[str, bytes | str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    missing: int = 0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            found.asked.append(self.path)
            content = found.files.get(self.path)
            self.send_response(404 if content is None else 302 if isinstance(content, str) else 200)
            body = content if isinstance(content, bytes) else b""
            if isinstance(content, str):
                self.send_header("Location", content)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) - found.missing])

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        found = Server(f"http://127.0.0.1:{http.server_port}")
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield found
        http.shutdown()


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A net with its card."""
    torch.manual_seed(0)
    own = SRCNN(widths=[6, 5])
    own.reconstruction.weight.data += 0.05 * torch.randn_like(own.reconstruction.weight)
    path = tmp_path / "own" / "net.safetensors"
    path.parent.mkdir()
    Weights(path, own.state_dict(), SRCNN_CONFIG).save(path)
    _card(path).write(path)
    return path


def _card(path: Path) -> Card:
    facts: dict[str, Any] = {"net": SRCNN_CONFIG, "scale": 2, "channels": 3, "params": 1, "data": {}, "protocols": {}}
    facts |= {"degradation": "", "sets": {}, "halo": 6, "bfloat16": False, "licence": "MIT", "command": ""}
    return Card(**facts, versions={}, sha256=sha256_of(path))


@pytest.fixture
def address(server: Server, net: Path) -> str:
    for suffix in (".safetensors", ".json"):
        server.files[f"{REPOSITORY}{suffix}"] = net.with_suffix(suffix).read_bytes()
    return f"{server.address}{REPOSITORY}.safetensors#sha256={sha256_of(net)}"


def _kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def _refused(address: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        weights_file(address)
    assert "\n" not in str(error.value)


def test_a_net_is_fetched_once_with_its_card_and_named_by_its_repository(
    zoom: Zoom, server: Server, address: str, net: Path, tmp_path: Path
) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    said = zoom("a.png", "-m", address)
    assert "fetching sharp-net from 127.0.0.1, once" in said
    assert "sharp-net a-x2.png" in said
    assert server.asked == [f"{REPOSITORY}.json", f"{REPOSITORY}.safetensors"]
    zoom("a.png", "-m", net, "-o", "b.png")
    assert Path("a-x2.png").read_bytes() == Path("b.png").read_bytes()
    assert _kept(tmp_path) == ["sharp-net.json", "sharp-net.safetensors"]
    assert Weights.read(fetched(address)).card == _card(net)
    assert len(server.asked) == 2


def test_what_was_damaged_in_the_cache_is_fetched_again(
    server: Server, address: str, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoomsr.pretrained import download

    path = fetched(address)
    path.write_bytes(b"other")
    download._fetched.cache_clear()  # as in a new process
    assert sha256_of(fetched(address)) == sha256_of(net)
    assert len(server.asked) == 4


def test_python_and_evaluate_take_an_address(
    address: str, net: Path, evaluate: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    lr = torch.rand(1, 3, 7, 9)
    assert torch.equal(load_model(address)(lr), load_model(net)(lr))
    (tmp_path / "One").mkdir()
    Image.fromarray(PIXELS).save(tmp_path / "One" / "a.png")
    results = evaluate(f"data_dir={tmp_path / 'One'}", f"ckpt='{address}'")
    assert list(results["sets"]["One"]) == ["bicubic", "sharp-net"]


def test_other_bytes_are_not_kept(server: Server, address: str, tmp_path: Path) -> None:
    server.files[f"{REPOSITORY}.safetensors"] = b"0123456789"
    _refused(address, "has sha256 84d89877.*, not .*: it is altered, or another net, and is not kept")
    assert _kept(tmp_path) == []


def test_an_answer_that_ends_early_is_not_kept(server: Server, address: str, net: Path, tmp_path: Path) -> None:
    card = json.loads(net.with_suffix(".json").read_text())
    server.files[f"{REPOSITORY}.json"] = json.dumps(card).encode() + b"   "
    server.missing = 3
    _refused(address, "cannot be fetched: ")
    assert _kept(tmp_path) == []


def test_without_a_card_nothing_is_fetched(server: Server, address: str) -> None:
    del server.files[f"{REPOSITORY}.json"]
    _refused(address, r"has no card .*model\.json beside it")
    server.files[f"{REPOSITORY}.json"] = b'{"sha256": "0"}'
    _refused(address, r"model\.json is the card of other weights: it says sha256 0")
    server.files[f"{REPOSITORY}.json"] = b"<html>"
    _refused(address, r"model\.json is no card")
    assert f"{REPOSITORY}.safetensors" not in server.asked


def test_a_redirection_leads_to_https_alone(server: Server, address: str) -> None:
    card, server.files["/there.json"] = f"{REPOSITORY}.json", server.files[f"{REPOSITORY}.json"]
    server.files[card] = f"{server.address}/there.json"
    assert fetched(address).is_file()
    other = address.replace(REPOSITORY, "/b/model")
    for place in ("http://192.0.2.1/model.json", "ftp://127.0.0.1/model.json"):
        server.files["/b/model.json"] = place
        _refused(other, "is not fetched: only https:// is|cannot be fetched")


HASH = "0" * 64


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://example.org/net.safetensors", "fetched with a hash alone, and it has none: add #sha256="),
        ("https://example.org/net.safetensors#sha256=12", "fetched with a hash alone, and #sha256=12 is none"),
        (f"https://example.org/net.pth#sha256={HASH}", r"is no \.safetensors file"),
        (f"http://example.org/net.safetensors#sha256={HASH}", "is not fetched: only https:// is"),
        (f"ftp://example.org/net.safetensors#sha256={HASH}", "is not fetched: only https:// is"),
        (f"file:///net.safetensors#sha256={HASH}", "is not fetched: only https:// is"),
        (f"https://me:secret@example.org/net.safetensors#sha256={HASH}", "example.org with a user's name"),
        (f"https://[::1/net.safetensors#sha256={HASH}", "is no address"),
    ],
)
def test_mistakes_are_answered_without_a_network(address: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("connected"))
    _refused(address, words)


def test_a_host_that_is_not_there_is_one_line(server: Server) -> None:
    _refused(f"{server.address}/none.safetensors#sha256={HASH}", r"has no card .*none\.json")
    _refused(f"http://127.0.0.1:1/none.safetensors#sha256={HASH}", r"none\.json cannot be fetched: ")


def test_names_are_plain(server: Server, net: Path) -> None:
    for path, name in {"/a/x%20y/..%2Fz": ".._z", "/m/model": "m", "/model": "model", "/.hid": "hid"}.items():
        for suffix in (".safetensors", ".json"):
            server.files[f"{path}{suffix}"] = net.with_suffix(suffix).read_bytes()
        found = fetched(f"{server.address}{path}.safetensors#sha256={sha256_of(net)}")
        assert found.name == f"{name.lstrip('.')}.safetensors"
        assert found.parent.name == sha256_of(net)
