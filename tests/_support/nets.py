"""Nets of conf/model made small, and nets that are odd on purpose."""

from __future__ import annotations

from typing import Any

import torch
from hydra import compose, initialize_config_dir
from torch import nn

from zoomsr.cli.config import CONF_DIR, instantiate
from zoomsr.models.srcnn import SRCNN


def Noisy(**arguments: Any) -> torch.nn.Module:  # noqa: N802  # stands for a class
    """An SRCNN that looks at dropped pixels while it is trained."""
    net = SRCNN(**arguments)
    net.register_forward_pre_hook(
        lambda module, inputs: (torch.nn.functional.dropout(inputs[0], 0.1, module.training),)
    )
    return net


NETS = sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml") if "zoomsr.models." in path.read_text())


SMALL = {"widths": "[6,5]", "blocks": "[1,1]", "width": "4", "iterations": "1", "back_projections": "1"}
"""Settings that make a net slimmer or shorter, so that the tests stay fast; the halo follows the iterations."""


def build(name: str, *overrides: str) -> nn.Module:
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        model = compose("train", overrides=[f"model={name}"]).model
        slim = [f"model.{key}={value}" for key, value in SMALL.items() if key in model]
        config = compose("train", overrides=[f"model={name}", *slim, *overrides])
    net = instantiate(config.model)
    assert isinstance(net, nn.Module)
    return net.eval()


def strong(net: nn.Module) -> nn.Module:
    """With weights that make every pixel of the receptive field count."""
    torch.manual_seed(1)
    for parameter in net.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    return net
