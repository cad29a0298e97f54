"""The offline page as a file: its policy, its parts, and the mistakes of who asks for one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from _support.commands import said_by

from zoomsr.inference.export_options import ExportOptions
from zoomsr.models.back_projection import REACH
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.pretrained.weights import Weights
from zoomsr.webapp.offline import page as offline_page
from zoomsr.webapp.offline.runtime import PACKAGE, WebRuntime, _as_classic

Export = Callable[..., str]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Export:
    """Runs the command in an empty folder; returns what it printed, as one line."""
    from zoomsr.export import app

    monkeypatch.chdir(tmp_path)
    return lambda *arguments, code=0: " ".join(said_by(app, arguments, capsys, code=code).split())


def test_the_page_loads_nothing_and_allows_nothing_but_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline_page, "onnx_file", lambda net, form, facts: type(net).__name__.encode())
    net = ResidualUNet(widths=[4, 5], blocks=[1, 1])
    arguments = {"widths": [4, 5], "blocks": [1, 1]}
    settings = {"_target_": "zoomsr.models.residual_unet.ResidualUNet", **arguments}
    Weights(tmp_path / "small.safetensors", net.state_dict(), settings).save(tmp_path / "small.safetensors")
    html = offline_page.page(
        str(tmp_path / "small.safetensors"), ExportOptions(licence="CC0-1.0"), WebRuntime("const ort={};", b"asm")
    )

    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{hashes[0]}' 'wasm-unsafe-eval'",
        f"style-src 'sha256-{hashes[1]}'",
        *("img-src blob:", "worker-src blob:", "base-uri 'none'", "form-action 'none'"),
    ]
    assert not re.search(r"<(link|iframe|object|embed|form)\b|\bstyle=|\bon[a-z]+=\"|https?://", html)
    packed = dict(re.findall(r'<script type="text/plain" id="(\w+)">(.*?)</script>', html, re.DOTALL))
    assert list(packed) == ["worker", "wasm", "net", "bicubic"]
    assert packed["worker"].startswith("const ort={};")
    parts = [gzip.decompress(base64.b64decode(packed[name])) for name in ("wasm", "net", "bicubic")]
    assert parts == [b"asm", b"ConvolvedBackProjection", b"Bicubic"]  # with back-projection, as zoom
    body = dict(re.findall(r'data-(\w+)="(\d+)"', re.search(r"<body[^>]*>", html)[0]))  # type: ignore[index]
    assert body == {"scale": "2", "grid": "2", "halo": str(net.halo + 2 * REACH)}
    assert "licence CC0-1.0" in html


def test_a_module_becomes_a_classic_script() -> None:
    module = "var a=1,b=import.meta.url;export{a as Tensor,b};\n//# sourceMappingURL=x.map\n"
    assert _as_classic(module) == "var a=1,b=self.location.href;const ort={Tensor:a,b:b};"


def test_mistakes_are_one_line(export: Export, tmp_path: Path) -> None:
    (tmp_path / "there.html").touch()
    (tmp_path / "altered.tgz").write_bytes(b"x")
    for arguments, words in {
        (): "give one of --out FILE, --page FILE.html and --to-hub FOLDER",
        ("-o", "a.onnx", "--page", "a.html"): "give one of --out FILE, --page FILE.html and --to-hub FOLDER",
        ("--page", "a.htm"): "--page a.htm must end in .html",
        ("--page", "there.html"): "there.html is there already: --overwrite replaces it",
        ("--page", "a.html", "--uint8"): "--uint8 goes with .onnx, and -o is a.html",
        ("-o", "a.onnx", "--runtime", "altered.tgz"): "--runtime goes with .html, and -o is a.onnx",
        ("--page", "a.html", "--runtime", "none.tgz"): f"none.tgz is missing: put {PACKAGE.name} there",
        ("--page", "a.html", "--runtime", "altered.tgz"): f"altered.tgz has 1 bytes, expected {PACKAGE.size}",
    }.items():
        assert words in export("-m", "srcnn", *arguments, code=1)
    assert not (tmp_path / "a.html").exists()


def test_without_a_network_it_says_what_to_do(export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOOMSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")  # where nobody listens
    said = export("-m", "srcnn", "--page", "a.html", code=1)
    assert f"{PACKAGE.name} cannot be fetched (http://127.0.0.1:9/onnxruntime-web/-/{PACKAGE.name}" in said
    assert "also with --runtime FILE, which `npm pack onnxruntime-web@1.30.0` writes on any computer" in said
