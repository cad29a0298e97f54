"""Other engines than torch give the net's own pixels, and run where they pay."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
import pytest
import torch
from _support.engines import CPU, SRCNN_CONFIG, perturbed
from _support.tiny import photograph
from torch import Tensor, nn

from zoomsr import engines
from zoomsr.engines import ENGINES, installed
from zoomsr.engines import accelerated as module
from zoomsr.engines.accelerated import Accelerated, accelerated
from zoomsr.engines.graph import GraphFile
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.models.ircnn import IRCNN
from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.weights import Weights


class StandIn:
    """Reads a graph that says what to do: add a number to what the net gives, or fail."""

    package: ClassVar[str] = "torch"
    label: ClassVar[str] = "Stand-in"
    has_bfloat16: ClassVar[bool] = False
    net: ClassVar[nn.Module]
    opened: ClassVar[list[str]] = []
    wrong: ClassVar[float] = 0.0
    wrong_in_bfloat16: ClassVar[float] = 0.0

    def __init__(self, bfloat16: bool) -> None:
        self.error = self.wrong_in_bfloat16 if bfloat16 else self.wrong

    @classmethod
    def open(cls, graph: bytes, *, threads: int, bfloat16: bool) -> StandIn:
        cls.opened.append(f"{graph.decode()} {threads} {bfloat16}")
        if graph == b"stale":
            raise RuntimeError("no such operator\nin line 2")
        return cls(bfloat16)

    def run(self, lr: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return self.net(lr) + self.error


class Slower(StandIn):
    label: ClassVar[str] = "Slower"


class Absent(StandIn):
    package: ClassVar[str] = "no_such_package_anywhere"


class Program:
    """What torch's exporter gives, as far as it is used."""

    count: ClassVar[int] = 0

    @property
    def model_proto(self) -> Program:
        return self

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's name
        Program.count += 1
        return b"graph"


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    torch.manual_seed(0)
    net = perturbed(SRCNN(widths=[6, 5]))
    path = tmp_path / "net.safetensors"
    Weights(path, net.state_dict(), SRCNN_CONFIG).save(path)
    return Weights.read(path)


@pytest.fixture
def net(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> Iterator[nn.Module]:
    """Its engines are stand-ins, and its graph is five letters."""
    net = weights.build()
    monkeypatch.setattr(StandIn, "net", net, raising=False)
    monkeypatch.setattr(StandIn, "opened", [])
    for name in ("wrong", "wrong_in_bfloat16"):
        monkeypatch.setattr(StandIn, name, 0.0)
    monkeypatch.setattr(Program, "count", 0)
    monkeypatch.setattr(engines, "_EXPORTER", ())
    monkeypatch.setattr(engines, "ENGINES", {"openvino": StandIn, "onnx": Slower})
    monkeypatch.setattr(module, "ENGINES", engines.ENGINES)
    monkeypatch.setattr(module, "exported", lambda net, lr: Program())
    return net


def _auto(net: nn.Module, weights: Weights) -> Accelerated:
    found = accelerated(net, weights, engine="auto", device=CPU)
    assert isinstance(found, Accelerated)
    return found


def test_auto_stays_with_torch_until_the_pixels_pay_and_takes_the_fastest_then(
    net: nn.Module, weights: Weights
) -> None:
    lr, accelerated_net = torch.rand(1, 3, 9, 11), _auto(net, weights)
    accelerated_net.expect(499_999)
    assert torch.equal(accelerated_net(lr), net(lr))
    assert (StandIn.opened, accelerated_net.engine, accelerated_net.said()) == ([], "torch", [])
    accelerated_net.expect(1)
    assert torch.equal(accelerated_net(lr), net(lr))
    assert accelerated_net.engine == "Stand-in"
    assert StandIn.opened == [f"graph {torch.get_num_threads()} False"]
    assert [line.split(",")[0] for line in accelerated_net.said()] == ["made the net's graph", "Stand-in"]
    assert accelerated_net.said() == []


def test_a_graph_that_is_made_already_pays_sooner_and_is_not_made_again(net: nn.Module, weights: Weights) -> None:
    for number, pixels in enumerate((500_000, 250_000)):
        found = _auto(net, weights)
        found.expect(pixels)
        found(torch.rand(1, 3, 9, 11))
        assert (found.engine, Program.count, len(StandIn.opened)) == ("Stand-in", 1, number + 1)
    small = _auto(net, weights)
    small.expect(249_999)
    small(torch.rand(1, 3, 9, 11))
    assert small.engine == "torch"


def test_other_weights_and_other_channels_have_other_graphs(net: nn.Module, weights: Weights, tmp_path: Path) -> None:
    GraphFile(weights.digest, channels=3).write(b"graph")
    assert GraphFile(weights.digest, channels=3).read() == b"graph"
    assert GraphFile(weights.digest, channels=1).read() is None
    changed = {name: tensor + 1e-6 for name, tensor in weights.tensors.items()}
    assert GraphFile(Weights(weights.path, changed, weights.config).digest, channels=3).read() is None
    other = Weights(weights.path, weights.tensors, {**(weights.config or {}), "scale": 3})
    assert GraphFile(other.digest, channels=3).read() is None


def test_an_engine_with_other_pixels_is_left_out(
    net: nn.Module, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slower, "wrong", 0.0, raising=False)
    monkeypatch.setattr(StandIn, "wrong", 3e-3)
    found = _auto(net, weights)
    found.start()
    lr = torch.rand(1, 3, 9, 11)
    assert torch.equal(found(lr), net(lr))
    assert found.engine == "Slower"
    assert "Stand-in, float32, cannot be used here: its pixels differ from torch's by 3.0e-03" in found.said()
    assert Program.count == 1
    monkeypatch.setattr(Slower, "wrong", float("nan"))
    none = _auto(net, weights)
    none.start()
    assert torch.equal(none(lr), net(lr))
    assert none.engine == "torch"
    assert Program.count == 2  # the one that was kept is not trusted, the new one is
    named = accelerated(net, weights, engine="openvino", device=CPU)
    with pytest.raises(ValueError, match=r"^engine openvino cannot be used here: its pixels differ"):
        named(lr)


@pytest.mark.parametrize("damage", ["stale", "flipped", "cut", "foreign", "empty"])
def test_a_kept_graph_that_is_damaged_or_not_ours_is_made_anew(
    net: nn.Module, weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    file = GraphFile(weights.digest, channels=3)
    file.write(b"stale" if damage == "stale" else b"other")
    (path,) = (tmp_path / "cache" / "graphs").iterdir()
    content = path.read_bytes()
    if damage == "foreign":
        with monkeypatch.context() as patch:
            patch.setenv("ZOOMSR_STATE", str(tmp_path / "somebody else"))
            file.write(b"other")
    elif damage != "stale":
        path.write_bytes({"flipped": content[:-1] + b"!", "cut": content[:20], "empty": b""}[damage])
    found = _auto(net, weights)
    found.start()
    found(torch.rand(1, 3, 9, 11))
    assert found.engine == "Stand-in"
    assert [text.split()[0] for text in StandIn.opened] == [*(["stale"] if damage == "stale" else []), "graph"]
    assert file.read() == b"graph"


def test_a_cache_that_cannot_be_written_costs_a_line_and_no_more(
    net: nn.Module, weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZOOMSR_CACHE", str(tmp_path / "file"))
    found = _auto(net, weights)
    found.start()
    found(torch.rand(1, 3, 9, 11))
    assert found.engine == "Stand-in"
    assert any(line.startswith("the graph is not kept for the next time: ") for line in found.said())


def test_the_cache_keeps_sixteen_graphs(weights: Weights, tmp_path: Path) -> None:
    for number in range(20):
        GraphFile(str(number), channels=3).write(b"graph")
    assert len(list((tmp_path / "cache" / "graphs").iterdir())) == 16
    assert GraphFile("19", channels=3).read() == b"graph"


def test_a_net_that_cannot_be_exported_stays_with_torch_and_is_tried_once(
    net: nn.Module, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def failing(net: nn.Module, lr: torch.Tensor) -> Program:
        tried.append(lr.shape[1])
        raise TypeError("no such operator\nand a hundred lines")

    monkeypatch.setattr(module, "exported", failing)
    found, lr = _auto(net, weights), torch.rand(1, 3, 9, 11)
    found.start()
    for _ in range(2):
        assert torch.equal(found(lr), net(lr))
    assert tried == [3]
    assert found.said() == ["Stand-in, float32, cannot be used here: torch makes no graph of the net: no such operator"]
    named = accelerated(net, weights, engine="onnx", device=CPU)
    with pytest.raises(
        ValueError, match=r"^engine onnx cannot be used here: torch makes no graph of the net: no such op"
    ):
        named(lr)


def test_in_bfloat16_auto_takes_only_engines_that_have_it(net: nn.Module, weights: Weights) -> None:
    found = _auto(net, weights)
    found.start()
    with torch.autocast("cpu", torch.bfloat16):
        found(torch.rand(1, 3, 9, 11))
    assert (found.engine, StandIn.opened) == ("torch", [])
    named = accelerated(net, weights, engine="onnx", device=CPU)
    with torch.autocast("cpu", torch.bfloat16):
        named(torch.rand(1, 3, 9, 11))
    assert StandIn.opened == [f"graph {torch.get_num_threads()} False"]


def test_in_bfloat16_an_engine_may_be_as_far_from_float32_as_torch_is(
    net: nn.Module, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "has_bfloat16", True)
    monkeypatch.setattr(Slower, "has_bfloat16", False, raising=False)
    lr = torch.rand(1, 3, 9, 11)
    with torch.autocast("cpu", torch.bfloat16):
        found = _auto(net, weights)
        found.start()
        found(lr)
        assert found.said()[-1] == "Stand-in, bfloat16"
        monkeypatch.setattr(StandIn, "wrong_in_bfloat16", 5e-3)  # more than a grey level, everywhere
        found = _auto(net, weights)
        found.start()
        assert torch.equal(found(lr), net(lr))
        assert found.engine == "torch"
        named = cast(Accelerated, accelerated(net, weights, engine="openvino", device=CPU))
        named(lr)
    assert [line.split(": ")[0] for line in named.said() if line.startswith("Stand-in")] == [
        "Stand-in, bfloat16, cannot be used here",
        "Stand-in, float32",
    ]


def test_what_torch_runs_alone_is_left_as_it_is(
    net: nn.Module, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoomsr.imaging.degradations import Bicubic

    loop = IRCNN(scale=2, degradation=Bicubic(2), width=4, n_denoisers=1, iterations=1)
    for kept, found in (
        (net, accelerated(net, weights, engine="torch", device=CPU)),
        (net, accelerated(net, None, engine="onnx", device=CPU)),
        (net, accelerated(net, weights, engine="auto", device=torch.device("cuda"))),
        (loop, accelerated(loop, weights, engine="auto", device=CPU)),
    ):
        assert found is kept
    monkeypatch.setattr(engines, "ENGINES", {"openvino": Absent})
    assert accelerated(net, weights, engine="auto", device=CPU) is net


def test_mistakes_are_named(net: nn.Module, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoomsr.imaging.degradations import Bicubic

    loop = IRCNN(scale=2, degradation=Bicubic(2), width=4, n_denoisers=1, iterations=1)
    monkeypatch.setattr(module, "ENGINES", {"openvino": Absent, "onnx": StandIn})
    for model, engine, device, words in (
        (net, "tvm", "cpu", "engine tvm is none of auto, torch, openvino, onnx"),
        (net, "openvino", "cpu", r"needs an extra \(no_such_package_anywhere\): pip install zoomsr\[fast\]"),
        (net, "onnx", "cuda", "engine onnx runs on the CPU, and the device is cuda"),
        (loop, "onnx", "cpu", "IRCNN is a loop"),
    ):
        with pytest.raises(ValueError, match=words):
            accelerated(model, weights, engine=engine, device=torch.device(device))


def test_the_upscaler_counts_the_pixels_of_each_photograph(
    net: nn.Module, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAST_PIXELS_TO_EXPORT", 2 * 20 * 30)
    upscaler = Upscaler.open(str(weights.path), how=NetOptions(device="cpu", back_projection=0))
    photo, results = Photograph(photograph(20, 30)), []
    for engine in ("torch", "Stand-in", "Stand-in"):
        results.append(upscaler.upscale(photo).pixels)
        assert upscaler.engine is not None
        assert upscaler.engine.engine == engine
    assert np.array_equal(results[0], results[2])
    assert len(StandIn.opened) == 1
    assert Upscaler.open(str(weights.path), how=NetOptions(device="cpu", engine="torch")).engine is None


def test_no_engine_is_imported_before_it_is_opened(weights: Weights) -> None:
    heavy = {"openvino", "openvino_telemetry", "onnxruntime", "onnx", "onnxscript", "zoomsr.models.ircnn"}
    code = f"""
import sys
from zoomsr.inference.upscaler import NetOptions, Upscaler
print(sorted({heavy} & set(sys.modules)))
upscaler = Upscaler.open({str(weights.path)!r}, how=NetOptions(device="cpu"))
print(sorted({heavy - {"zoomsr.models.ircnn"}} & set(sys.modules)))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n[]\n"


def test_the_fastest_that_is_installed_comes_first() -> None:
    assert installed() == [name for name, kind in ENGINES.items() if importlib.util.find_spec(kind.package) is not None]
