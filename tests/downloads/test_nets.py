"""Nets by address, from a server on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.http_server import Server, answer
from _support.zooming import PIXELS, Zoom
from PIL import Image

from zoomsr import load_model
from zoomsr.downloads import http, nets
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import WEIGHTS_DIR, weights_file
from zoomsr.runs.files import sha256_of

NET = WEIGHTS_DIR / "srcnn.safetensors"
SHA256 = sha256_of(NET)
REPOSITORY = "/someone/sharp-net/resolve/main/model"
WEIGHTS, CARD = f"{REPOSITORY}.safetensors", f"{REPOSITORY}.json"


def _serve(server: Server, place: str = REPOSITORY) -> str:
    """The address of the net, which has its card beside it."""
    for suffix in (".safetensors", ".json"):
        server.answers[f"{place}{suffix}"] = [answer(NET.with_suffix(suffix).read_bytes())]
    return f"{server.address}{place}.safetensors#sha256={SHA256}"


@pytest.fixture
def address(server: Server) -> str:
    return _serve(server)


def _kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").rglob("*.*") if path.name != ".lock")


def _refused(address: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        weights_file(address)
    assert "\n" not in str(error.value)


def test_a_net_is_fetched_once_with_its_card_and_named_by_its_repository(
    zoom: Zoom, server: Server, address: str, tmp_path: Path
) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    said = zoom("a.png", "-m", address)
    assert f"fetching sharp-net.safetensors, into cache/nets/{SHA256}" in said
    assert "sharp-net a-x2.png" in said
    assert server.asked == [CARD, WEIGHTS]
    zoom("a.png", "-m", NET, "-o", "b.png")
    assert Path("a-x2.png").read_bytes() == Path("b.png").read_bytes()
    assert _kept(tmp_path) == ["sharp-net.json", "sharp-net.safetensors"]
    assert Card.beside(nets.fetched(address)) == Card.beside(NET)
    assert len(server.asked) == 2


def test_what_was_damaged_in_the_cache_is_fetched_again(server: Server, address: str) -> None:
    path = nets.fetched(address)
    path.write_bytes(b"other")
    nets.fetched.cache_clear()  # as in a new process
    assert sha256_of(nets.fetched(address)) == SHA256
    assert len(server.asked) == 4


def test_python_and_evaluate_take_an_address(
    address: str, evaluate: Callable[..., dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lr = torch.rand(1, 3, 7, 9)
    assert torch.equal(load_model(address)(lr), load_model(NET)(lr))
    (tmp_path / "One").mkdir()
    Image.fromarray(PIXELS).save(tmp_path / "One" / "a.png")
    results = evaluate(f"data_dir={tmp_path / 'One'}", f"ckpt='{address}'")
    assert list(results["sets"]["One"]) == ["bicubic", "sharp-net"]
    assert "HTTP Request" not in caplog.text


def test_other_bytes_are_not_kept(server: Server, address: str, tmp_path: Path) -> None:
    server.answers[WEIGHTS] = [answer(b"0123456789")]
    _refused(address, r"model\.safetensors is altered and not kept \(sha256 84d89877")
    assert _kept(tmp_path) == []


def test_without_a_card_nothing_is_fetched(server: Server, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = json.dumps({"sha256": "0"}).encode()
    for given, words in {
        answer(status=404): r"model\.safetensors is not fetched without its card, .*model\.json answered 404 Not Found",
        answer(own): r"model\.json is the card of other weights: it says sha256 0",
        answer(b"<html>"): r"model\.json is no card",
        answer(
            b"<html>", Content_Type="text/html"
        ): r"model\.json answered with a web page",  # of Hugging Face's /blob/
        answer(b"\xff"): r"model\.json is no card",
        answer(own, Content_Length=len(own) + 1): r"model\.json peer closed connection",
        answer(b"{}".ljust(101)): r"model\.json is larger than 100 bytes",
    }.items():
        monkeypatch.setattr(nets, "_MAX_CARD_BYTES", 100)
        server.answers[CARD] = [given]
        _refused(address, words)
    assert WEIGHTS not in server.asked


def test_a_redirection_leads_to_https_alone(server: Server, address: str) -> None:
    server.answers["/there.json"] = server.answers[CARD]
    server.answers[CARD] = [answer(status=302, Location=f"{server.address}/there.json")]
    assert nets.fetched(address).is_file()
    for suffix in (".json", ".safetensors"):
        other = _serve(server, "/b/model")
        for place in ("http://192.0.2.1/model", "ftp://127.0.0.1/model"):
            server.answers[f"/b/model{suffix}"] = [answer(status=302, Location=place)]
            _refused(other, f"{place} is not fetched: only https:// is")


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
        (f"https://example.org:port/net.safetensors#sha256={HASH}", "Invalid port: 'port'"),
    ],
)
def test_mistakes_are_answered_without_a_network(address: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("connected"))
    _refused(address, words)


def test_what_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "sleep", lambda _: None)
    address = f"http://127.0.0.1:1/none.safetensors#sha256={HASH}"
    _refused(address, r"none\.json .*refused")
    monkeypatch.setattr(nets, "_card", lambda *_: "")
    _refused(address, r"none\.safetensors .*refused.*, also with the path of a copy, its card beside it")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    _refused(address, r"install httpx using `pip install httpx\[socks\]`")


def test_names_are_plain(server: Server) -> None:
    for path, name in {"/a/x%20y/..%2Fz": "_z", "/m/model": "m", "/model": "model", "/.hid": "hid"}.items():
        found = nets.fetched(_serve(server, path))
        assert found.name == f"{name}.safetensors"
        assert found.parent.name == SHA256
