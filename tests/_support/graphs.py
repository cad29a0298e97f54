"""ONNX graphs as other projects make them, beside the same net in torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Deconvolution:
    """A bilinear picture and what a transposed convolution adds to it: no architecture of ours.

    Attributes:
        channels: of pixels.
        scale: 2, 3 or 4.
        width: feature maps.
        size: (height, width) of the only pictures that its graph takes; None for any.
    """

    channels: int = 3
    scale: int = 2
    width: int = 6
    size: tuple[int, int] | None = None

    @property
    def weights(self) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(3)

        def drawn(*shape: int) -> Tensor:
            return 0.1 * torch.randn(*shape, generator=generator)

        return {
            "first": drawn(self.width, self.channels, 5, 5),
            "bias": drawn(self.width),
            "slope": drawn(self.width, 1, 1).abs(),
            "last": drawn(self.width, self.channels, 3 * self.scale, 3 * self.scale),
        }

    def __call__(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W); it sees 3 px around each."""
        one = self.weights
        features = F.conv2d(lr, one["first"], one["bias"], padding=2)
        features = torch.where(features > 0, features, features * one["slope"])
        added = F.conv_transpose2d(features, one["last"], stride=self.scale, padding=self.scale)
        larger = F.interpolate(lr, scale_factor=float(self.scale), mode="bilinear", align_corners=False)
        return larger + 0.2 * added

    def model(self, **metadata: str) -> Any:
        """``onnx.ModelProto``, with any names for input and output."""
        from onnx import TensorProto, helper, numpy_helper

        stored = [numpy_helper.from_array(value.numpy(), name) for name, value in self.weights.items()]
        stored += [
            numpy_helper.from_array(np.array([1, 1, self.scale, self.scale], np.float32), "scales"),
            numpy_helper.from_array(np.array(0.2, np.float32), "share"),
        ]
        pads = [self.scale] * 4
        nodes = [
            helper.make_node("Conv", ["pixels", "first", "bias"], ["a"], pads=[2, 2, 2, 2]),
            helper.make_node("PRelu", ["a", "slope"], ["b"]),
            helper.make_node("ConvTranspose", ["b", "last"], ["c"], strides=[self.scale] * 2, pads=pads),
            helper.make_node("Resize", ["pixels", "", "scales"], ["d"], mode="linear"),
            helper.make_node("Mul", ["c", "share"], ["e"]),
            helper.make_node("Add", ["d", "e"], ["larger"]),
        ]
        sides = self.size or ("h", "w")
        larger = [side * self.scale if isinstance(side, int) else f"larger_{side}" for side in sides]
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", self.channels, *both])
            for name, both in {"pixels": sides, "larger": larger}.items()
        ]
        graph = helper.make_graph(nodes, "enlarge", ends[:1], ends[1:], stored)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, metadata)
        return model

    def save(self, path: Path, **metadata: str) -> Path:
        path.write_bytes(self.model(**metadata).SerializeToString())
        return path
