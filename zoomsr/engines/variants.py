"""Variants of a net's ONNX graph that other programs ask for: 16-bit weights, an older opset."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

OLDEST_OPSET = 17
_OLDEST_OF_TORCH = 18


def strip_traces(model: Any) -> None:
    """Remove torch's notes on each node and value, in place: stack traces, which are most of a small net's file."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")


def halve_weights(model: Any, parameters: Collection[str]) -> None:
    """Store parameters of an ONNX model in float16, in place; a ``Cast`` makes them float32 where they are used.

    The net computes in float32 as before, and its file is half as large. Constants that are no parameters, as
    bicubic's kernels, stay as they are.

    Args:
        model: ``onnx.ModelProto``.
        parameters: their names.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for stored in model.graph.initializer:
        if stored.data_type == TensorProto.FLOAT and stored.name in parameters:
            name, half = stored.name, f"{stored.name}.float16"
            casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
            stored.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(stored).astype("float16"), half))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def lower_opset(model: Any, opset: int) -> None:
    """Say opset 17 where torch made 18, in place: of the nets' operators only ``Pad`` differs, by axes that none uses.

    Args:
        model: ``onnx.ModelProto``.
        opset: that was asked for.

    Raises:
        ValueError: torch made another one than was asked for, or the graph has an operator of 18.
    """
    import onnx

    (made,) = (one for one in model.opset_import if not one.domain)
    if (opset, made.version) == (OLDEST_OPSET, _OLDEST_OF_TORCH):
        made.version = opset
        try:
            onnx.checker.check_model(model, full_check=True)
        except Exception as error:  # its errors have no common base class but Exception
            raise ValueError(f"--opset {opset}: the net's graph needs {_OLDEST_OF_TORCH}") from error
    if made.version != opset:
        raise ValueError(f"--opset {opset}: torch makes {made.version} of the net's graph")
