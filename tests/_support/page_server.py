"""A server of the page, as a user starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch

from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.weights import Weights
from zoomsr.webapp import steps as page_steps


@pytest.fixture(scope="module")
def page_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net that does something to a picture."""
    path = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    torch.manual_seed(0)
    net = SRCNN(widths=[6, 5])
    net.reconstruction.weight.data += 0.01 * torch.randn_like(net.reconstruction.weight)
    config = {"_target_": "zoomsr.models.srcnn.SRCNN", "scale": 2, "widths": [6, 5]}
    Weights(path, net.state_dict(), config).save(path)
    return path


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the server's temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def page_address(page_weights: Path, page_folder: Path) -> Iterator[str]:
    """A server of the page; when it has ended, it has left nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "zoomsr.demo",
        "--port",
        str(port),
        "--device",
        "cpu",
        "--model",
        str(page_weights),
    ]
    with (page_folder.parent / "server.log").open("w+") as log:
        server = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(page_folder)}, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=30)
        log.seek(0)
        said = log.read()
    assert f"{Path(page_steps.__file__).parent}/" not in said, said  # Gradio logs what it refuses; ours is no mistake
    assert code == 130
    assert list(page_folder.iterdir()) == []


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert server.poll() is None
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            time.sleep(0.25)
    raise TimeoutError(url)


def function_number(address: str, name: str) -> int:
    """Of a function of the page, by which it is asked for."""
    dependencies = httpx.get(f"{address}/config").json()["dependencies"]
    (number,) = (one["id"] for one in dependencies if one["api_name"] == name)
    return int(number)
