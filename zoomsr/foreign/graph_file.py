"""Opens an ONNX file of any origin: its operators and its data are looked at before a runtime gets them.

An ONNX file is data: it names operators of the runtime, and no code. What it could do is read other files, as
"external data", and ask for operators from a library, which is never loaded here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zoomsr.engines.onnx import OnnxRuntime
from zoomsr.foreign.net import ForeignNet, NetFacts
from zoomsr.foreign.reach import Reach
from zoomsr.imaging.pixels import quantize, to_float

_RUNTIME = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")
"""Domains whose operators ONNX Runtime has."""

_TRAINED_ON = ("trained_on", "training_data", "datasets", "dataset")
_LICENCE = ("licence", "license")
_CONTRACT = {"scale": (1, 16), "multiple_of": (1, 1024), "halo": (0, 1024)}
_MAX_SCALE = 16
_MIN_SIZE = 16  # of a picture, where it is fixed: windows overlap by up to half of it
_SIDE = 32  # of the smallest picture that is tried
_MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 128)


def onnx_net(path: Path) -> ForeignNet:
    """The net of an ONNX file, run by ONNX Runtime.

    It must have one input (N, C, H, W) and one output, with C 1 (luma) or 3 (RGB), H and W free or fixed, of float32 or
    float16 on [0, 1], or of bytes. The scale and the multiple that sides must be of are found by running it; grid and
    halo are what its metadata say where ``zoomsr.export`` has written them, else they are measured.

    Raises:
        ValueError: damaged, data outside the folder, an operator or a form of which ONNX Runtime or we know nothing.
    """
    model = _vetted(path)
    put, kinds, size = _input(path, model)
    try:
        session = OnnxRuntime.open(_content(path, model), threads=torch.get_num_threads(), bfloat16=False)
    except Exception as error:  # its errors have no common base class but Exception
        raise ValueError(f"{path} cannot be run by {OnnxRuntime.label}: {_first_line(error)}") from None

    def run(lr: Tensor) -> Tensor:
        sr = session.run(put(lr.cpu()))
        return to_float(sr) if sr.dtype == torch.uint8 else sr.float()

    said = {one.key: one.value for one in model.metadata_props}
    channels, (scale, multiple) = _found(path, run, kinds, size)
    fixed = "" if size is None else f" of {size[1]}x{size[0]} pixels"
    named = f", {said['net']}" if said.get("net", "").isidentifier() else ""
    facts = NetFacts(
        path=path,
        kind=f"ONNX{fixed}{named}",
        engine="onnx",
        scale=scale,
        channels=channels,
        size_multiple=multiple,
        n_parameters=sum(math.prod(one.dims) for one in _tensors(model) if one.dims),
        size=size,
        trained_on=_trained_on(said),
        reach=_stated_reach(path, said, scale=scale, multiple=multiple),
    )
    return ForeignNet(facts, run)


class _Shape(NamedTuple):
    scale: int
    multiple: int


def _vetted(path: Path) -> Any:
    """The file as ``onnx.ModelProto``, with its external data, which lie in its folder."""
    import onnx

    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError, of which there are several
        raise ValueError(f"{path} is damaged, or no ONNX file: {_first_line(error)}") from None
    if not model.graph.node or not model.opset_import:
        raise ValueError(f"{path} is damaged, or no ONNX file: it has no operators")
    own = {(one.domain, one.name) for one in model.functions}
    for node in _messages(model, "NodeProto"):
        if node.domain not in _RUNTIME and (node.domain, node.op_type) not in own:
            custom = f"{node.domain}:{node.op_type}"
            raise ValueError(f"{path} needs the custom operator {custom}, and no library of operators is loaded")
    external = [one for one in _tensors(model) if one.data_location == onnx.TensorProto.EXTERNAL]
    for tensor in external:
        _require_inside(path, next((one.value for one in tensor.external_data if one.key == "location"), ""))
    if external:
        try:
            onnx.load_external_data_for_model(model, str(path.parent))
        except Exception as error:  # onnx raises errors of any type
            raise ValueError(f"{path}: its external data cannot be read: {_first_line(error)}") from None
    return model


def _require_inside(path: Path, location: str) -> None:
    """Raises ValueError where external data are not in a file in the folder of the graph, links followed."""
    place = path.parent / location
    is_inside = not Path(location).is_absolute() and place.resolve().is_relative_to(path.parent.resolve())
    if not location or ".." in Path(location).parts or not is_inside:
        raise ValueError(f"{path} keeps data in {location!r}, outside its folder, where it may not read")
    if not place.is_file():
        raise ValueError(f"{path} keeps data in {location!r}, and there is no such file beside it")


def _messages(message: Any, name: str) -> Iterator[Any]:
    """All parts of a protobuf message that are of one type, at any depth, as in subgraphs and functions."""
    if message.DESCRIPTOR.name == name:
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if hasattr(value, "__len__") and not hasattr(value, "DESCRIPTOR") else [value]:
                yield from _messages(part, name)


def _tensors(model: Any) -> Iterator[Any]:
    return _messages(model, "TensorProto")


def _input(path: Path, model: Any) -> tuple[Callable[[Tensor], Tensor], tuple[int, ...], tuple[int, int] | None]:
    """What turns pixels into the graph's input, the channels that it may have, and its height and width if fixed."""
    import onnx

    stored = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in stored]
    if (len(inputs), len(model.graph.output)) != (1, 1):
        counts = f"{len(inputs)} inputs and {len(model.graph.output)} outputs"
        raise ValueError(f"{path} has {counts}: a net that enlarges pictures has one of each")
    kind = inputs[0].type.tensor_type
    sides = [one.dim_value if one.HasField("dim_value") else None for one in kind.shape.dim]
    types: dict[int, Callable[[Tensor], Tensor]] = {
        onnx.TensorProto.FLOAT: lambda lr: lr.float(),
        onnx.TensorProto.FLOAT16: lambda lr: lr.half(),
        onnx.TensorProto.UINT8: quantize,
    }
    if kind.elem_type not in types:
        name = onnx.TensorProto.DataType.Name(kind.elem_type)
        raise ValueError(f"{path} takes {name}, not float32 or float16 on 0 to 1, or bytes")
    if len(sides) != 4 or sides[1] not in (None, 1, 3):
        shape = " x ".join("any" if side is None else str(side) for side in sides)
        raise ValueError(f"{path} takes {shape}, not batch x channels x height x width with 1 channel or 3")
    height, width = sides[2] or sides[3], sides[3] or sides[2]  # where one is free, a square
    size = None if height is None or width is None else (height, width)
    if size is not None and min(size) < _MIN_SIZE:
        raise ValueError(
            f"{path} takes pictures of {width}x{height} pixels alone: {_MIN_SIZE}x{_MIN_SIZE} is the least"
        )
    return types[kind.elem_type], (3, 1) if sides[1] is None else (sides[1],), size


def _content(path: Path, model: Any) -> bytes:
    try:
        content: bytes = model.SerializeToString()
    except Exception as error:  # a model of 2 GB with its external data
        raise ValueError(f"{path} is too large: {_first_line(error)}") from None
    return content


def _found(
    path: Path, run: Callable[[Tensor], Tensor], kinds: tuple[int, ...], size: tuple[int, int] | None
) -> tuple[int, _Shape]:
    """Channels, scale and multiple, by running the net on small pictures until one works."""
    reasons: list[str] = []
    for channels in kinds:
        for multiple in _MULTIPLES if size is None else (1,):
            odd = -(-_SIDE // multiple) // 2 * 2 + 1
            sides = size or (odd * multiple, (odd + 2) * multiple)  # multiples of nothing larger
            try:
                shape = tuple(run(torch.full((1, channels, *sides), 0.5)).shape)
            except Exception as error:  # the runtime raises errors of any type
                reasons.append(_first_line(error))
                continue
            scale = shape[-1] // sides[1]
            if shape == (1, channels, scale * sides[0], scale * sides[1]) and 1 <= scale <= _MAX_SCALE:
                return channels, _Shape(scale, multiple)
            reasons.append(f"it makes {_text(shape)} of {_text((1, channels, *sides))}")
    raise ValueError(f"{path} is no net that enlarges pictures by a whole number: {reasons[0]}")


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _trained_on(said: Mapping[str, str]) -> str:
    """In the words of the file."""

    def first(keys: tuple[str, ...]) -> str:
        text = next((said[key] for key in keys if said.get(key)), "")
        return "".join(one if one.isprintable() else " " for one in text)[:200].strip()

    data, licence = first(_TRAINED_ON), first(_LICENCE)
    return f"{data} (licence of the weights: {licence})" if data and licence not in ("", "not stated") else data


def _stated_reach(path: Path, said: Mapping[str, str], *, scale: int, multiple: int) -> Reach | None:
    """Of a file of ``zoomsr.export``, which states it; its numbers are claims of the file, and so have bounds.

    Raises:
        ValueError: it states numbers that no net has, or another scale than it has.
    """
    if not _CONTRACT.keys() <= said.keys():
        return None
    numbers = {}
    for name, (least, most) in _CONTRACT.items():
        if not (said[name].isdecimal() and least <= int(said[name]) <= most):
            raise ValueError(f"{path} says {name} {said[name][:20]!r}: {name} of a net is {least} to {most}")
        numbers[name] = int(said[name])
    if numbers["scale"] != scale:
        raise ValueError(f"{path} says scale {numbers['scale']}, and enlarges by {scale}")
    return Reach(math.lcm(numbers["multiple_of"], multiple), numbers["halo"], seam=0.0)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
