"""A net and a device for the tests of engines."""

from __future__ import annotations

import torch
from torch import nn

CPU = torch.device("cpu")


SRCNN_CONFIG = {"_target_": "zoomsr.models.srcnn.SRCNN", "widths": [6, 5]}


def perturbed(net: nn.Module) -> nn.Module:
    """In eval mode, with weights that are not those of an untrained net, which is bicubic."""
    for parameter in net.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return net.eval().requires_grad_(False)
