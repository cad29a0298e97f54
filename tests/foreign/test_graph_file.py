"""ONNX files of other projects: opened, run on any size, refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _support.graphs import Deconvolution
from torch import Tensor

from zoomsr.foreign.graph_file import onnx_net
from zoomsr.foreign.net import ForeignNet
from zoomsr.imaging.pixels import luma
from zoomsr.imaging.resize import resize
from zoomsr.models import n_parameters

onnx = pytest.importorskip("onnx", reason="pip install zoomsr[export]")
pytest.importorskip("onnxruntime", reason="pip install zoomsr[export]")

NET = Deconvolution()


def _refused(path: Path, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        onnx_net(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("net", [NET, Deconvolution(channels=1), Deconvolution(scale=3, width=2)])
def test_a_graph_is_the_net_that_it_describes(net: Deconvolution, tmp_path: Path) -> None:
    opened = onnx_net(net.save(tmp_path / "other.onnx"))
    assert (opened.scale, opened.channels, opened.multiple_of, opened.halo) == (net.scale, net.channels, 1, 3)
    lr = torch.rand(2, net.channels, 7, 12)
    torch.testing.assert_close(opened(lr), net(lr), atol=1e-5, rtol=0)
    assert opened.facts.trained_on == ""
    assert n_parameters(opened) == sum(one.numel() for one in net.weights.values()) + 4  # and the scales


def test_a_net_on_luma_leaves_chroma_to_bicubic(tmp_path: Path) -> None:
    net = Deconvolution(channels=1)
    lr = torch.rand(1, 3, 8, 9)
    sr, larger = onnx_net(net.save(tmp_path / "other.onnx"))(lr), resize(lr, (16, 18))
    torch.testing.assert_close(luma(sr), net(luma(lr)), atol=1e-5, rtol=0)
    torch.testing.assert_close(sr - larger, (sr - larger)[:, :1].expand_as(sr), atol=1e-5, rtol=0)


def test_bicubic_chroma_has_a_halo_of_its_own(tmp_path: Path) -> None:
    facts = onnx_net(Deconvolution(channels=1).save(tmp_path / "other.onnx")).facts
    pixel = ForeignNet(replace(facts, reach=None), lambda lr: lr.repeat_interleave(2, -1).repeat_interleave(2, -2))
    assert (pixel.reach.halo, pixel.halo) == (0, 2)


def test_what_a_file_says_of_its_training_is_kept(tmp_path: Path) -> None:
    path = NET.save(tmp_path / "other.onnx", dataset="DF2K\nand more", license="CC0")
    assert onnx_net(path).facts.trained_on == "DF2K and more (licence of the weights: CC0)"


def test_sides_are_mirrored_to_the_multiple_that_the_graph_needs(tmp_path: Path) -> None:
    from onnx import helper

    model = NET.model()
    node = model.graph.node[0]
    # Of every 8x8 cell its pixels become channels and pixels again: other sides fail.
    node.input[0] = "same"
    model.graph.node.insert(0, helper.make_node("DepthToSpace", ["cells"], ["same"], blocksize=8))
    model.graph.node.insert(0, helper.make_node("SpaceToDepth", ["pixels"], ["cells"], blocksize=8))
    path = tmp_path / "other.onnx"
    path.write_bytes(model.SerializeToString())
    opened = onnx_net(path)
    assert (opened.facts.size_multiple, opened.multiple_of) == (8, 8)
    lr = torch.rand(1, 3, 5, 17)
    mirrored = torch.cat([lr, lr.flip(-2)], -2)[..., :8, :]
    mirrored = torch.cat([mirrored, mirrored.flip(-1)], -1)[..., :24]
    torch.testing.assert_close(opened(lr), NET(mirrored)[..., :10, :34], atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(24, 32), (17, 16)])
@pytest.mark.parametrize("sides", [(61, 70), (24, 33), (17, 90)])
def test_a_graph_of_fixed_size_gives_the_pixels_of_the_free_one(
    size: tuple[int, int], sides: tuple[int, int], tmp_path: Path
) -> None:
    """Mirrored where the picture is smaller, at the bottom and the right."""
    opened = onnx_net(Deconvolution(size=size).save(tmp_path / "fixed.onnx"))
    assert (opened.scale, opened.channels, opened.multiple_of, opened.halo) == (2, 3, 1, 3)
    assert opened.facts.kind == f"ONNX of {size[1]}x{size[0]} pixels"
    lr = torch.rand(2, 3, *sides)
    missing = max(0, size[0] - sides[0])
    expected = NET(torch.cat([lr, lr.flip(-2)[..., :missing, :]], -2))[..., : 2 * sides[0], :]
    torch.testing.assert_close(opened(lr), expected, atol=1e-5, rtol=0)


def test_where_one_side_is_fixed_the_other_is_as_long(tmp_path: Path) -> None:
    model = Deconvolution(size=(20, 20)).model()
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_param = "any"
    path = tmp_path / "other.onnx"
    path.write_bytes(model.SerializeToString())
    lr = torch.rand(1, 3, 31, 44)
    assert onnx_net(path).facts.size == (20, 20)
    torch.testing.assert_close(onnx_net(path)(lr), NET(lr), atol=1e-5, rtol=0)


def test_a_stated_reach_that_a_fixed_size_has_no_room_for_is_measured(tmp_path: Path) -> None:
    stated = {"scale": "2", "multiple_of": "1"}
    for halo, expected in (("5", 5), ("6", 3)):
        net = Deconvolution(size=(23, 40)).save(tmp_path / f"{halo}.onnx", **stated, halo=halo)
        assert onnx_net(net).halo == expected


@pytest.mark.parametrize(("kind", "limit"), [("FLOAT16", 2e-3), ("UINT8", 0.51 / 255)])
def test_other_types_of_pixels(kind: str, limit: float, tmp_path: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    model, number = NET.model(), getattr(TensorProto, kind)
    white = numpy_helper.from_array(np.array(255 if kind == "UINT8" else 1, np.float32), "white")
    model.graph.initializer.append(white)
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.elem_type = number
    model.graph.input[0].name = "given"
    ahead = [
        helper.make_node("Cast", ["given"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["cast", "white"], ["pixels"]),
    ]
    for node in reversed(ahead):
        model.graph.node.insert(0, node)
    model.graph.output[0].name = "taken"
    model.graph.node.extend(
        [
            helper.make_node("Mul", ["larger", "white"], ["levels"]),
            *([helper.make_node("Round", ["levels"], ["whole"])] if kind == "UINT8" else []),
            helper.make_node("Cast", ["whole" if kind == "UINT8" else "levels"], ["taken"], to=number),
        ]
    )
    path = tmp_path / "other.onnx"
    path.write_bytes(model.SerializeToString())
    lr = (torch.rand(1, 3, 9, 8) * 255).round() / 255 * 0.5 + 0.25
    lr = (lr * 255).round() / 255
    torch.testing.assert_close(onnx_net(path)(lr), NET(lr), atol=limit, rtol=0)


def test_external_data_lie_in_the_folder(tmp_path: Path) -> None:
    folder, outside = tmp_path / "net", tmp_path / "first.bin"
    folder.mkdir()
    onnx.save(NET.model(), folder / "other.onnx", save_as_external_data=True, location="first.bin", size_threshold=0)
    lr = torch.rand(1, 3, 6, 6)
    torch.testing.assert_close(onnx_net(folder / "other.onnx")(lr), NET(lr), atol=1e-5, rtol=0)
    (folder / "first.bin").rename(outside)
    _refused(folder / "other.onnx", "keeps data in 'first.bin', and there is no such file beside it")
    (folder / "first.bin").symlink_to(outside)
    _refused(folder / "other.onnx", "keeps data in 'first.bin', outside its folder")
    for location in ("../first.bin", str(outside)):
        model = onnx.load(folder / "other.onnx", load_external_data=False)
        for tensor in model.graph.initializer:
            tensor.external_data[0].value = location
        (folder / "moved.onnx").write_bytes(model.SerializeToString())
        _refused(folder / "moved.onnx", f"keeps data in '{location}', outside its folder")


def _custom(model: Any) -> None:
    model.graph.node[1].domain, model.graph.node[1].op_type = "ai.someone", "Sharpen"
    model.opset_import.add(domain="ai.someone", version=1)


def _hidden(model: Any) -> None:
    """A custom operator in the branch of an If."""
    from onnx import helper

    branch = helper.make_graph([helper.make_node("Load", [], ["x"], domain="ai.someone")], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["share"], ["z"], then_branch=branch, else_branch=branch))


def _of_four(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4


def _small(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 8


def _unknown(model: Any) -> None:
    model.graph.node[1].op_type = "Sharpen"


def _fewer_out(model: Any) -> None:
    from onnx import helper

    model.graph.node[-1].output[0] = "all"
    model.graph.node.append(helper.make_node("ReduceMean", ["all"], ["larger"], axes=[1], keepdims=1))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1


def _two_inputs(model: Any) -> None:
    model.graph.input.append(model.graph.output[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_custom, "needs the custom operator ai.someone:Sharpen, and no library"),
        (_hidden, "needs the custom operator ai.someone:Load"),
        (_of_four, "takes any x 4 x any x any, not batch x channels"),
        (_small, "takes pictures of 8x8 pixels alone: 16x16 is the least"),
        (_unknown, "cannot be run by ONNX Runtime"),
        (_fewer_out, "no net that enlarges pictures by a whole number: it makes 1x1x66x70 of 1x3x33x35"),
        (_two_inputs, "has 2 inputs and 1 outputs"),
    ],
)
def test_what_is_no_net_for_pictures_is_one_line(change: Callable[[Any], None], words: str, tmp_path: Path) -> None:
    model, path = NET.model(), tmp_path / "other.onnx"
    change(model)
    path.write_bytes(model.SerializeToString())
    _refused(path, words)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_one_line(share: float, tmp_path: Path) -> None:
    path = NET.save(tmp_path / "other.onnx")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    _refused(path, "is damaged, or no ONNX file")


def test_numbers_that_a_file_states_have_bounds(tmp_path: Path) -> None:
    stated = {"scale": "2", "multiple_of": "4", "halo": "5"}
    opened = onnx_net(NET.save(tmp_path / "other.onnx", **stated))
    assert (opened.multiple_of, opened.halo) == (4, 5)
    _refused(NET.save(tmp_path / "far.onnx", **{**stated, "halo": "99999"}), "says halo '99999'")
    _refused(NET.save(tmp_path / "three.onnx", **{**stated, "scale": "3"}), "says scale 3, and enlarges by 2")


def test_a_picture_that_it_cannot_run_on_is_one_line(tmp_path: Path) -> None:
    opened = onnx_net(NET.save(tmp_path / "other.onnx"))

    def run(lr: Tensor) -> Tensor:
        raise RuntimeError("too small\nat node 3")

    opened.run = run
    with pytest.raises(ValueError, match=r"other\.onnx cannot be run on 3x2 pixels: too small$"):
        opened(torch.rand(1, 3, 2, 3))
