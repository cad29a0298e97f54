"""Each net of a paper says where it differs from it."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest
from torch import nn

import zoomsr.models

MODULES = sorted(path.stem for path in Path(zoomsr.models.__file__).parent.glob("[a-z]*.py"))


def _nets() -> list[type[nn.Module]]:
    found = []
    for name in MODULES:
        module = importlib.import_module(f"zoomsr.models.{name}")
        for value in vars(module).values():
            if inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == module.__name__:
                found.append(value)
    return [net for net in found if hasattr(net, "multiple_of") or "scale" in inspect.signature(net).parameters]


@pytest.mark.parametrize("net", [net for net in _nets() if net.__name__ != "Bicubic"])
def test_a_net_names_its_paper_and_the_differences(net: type[nn.Module]) -> None:
    text = f"{inspect.getmodule(net).__doc__}\n{net.__doc__}"
    assert "arXiv:" in text
    _, _, differences = text.partition("Differences from the paper:\n")
    assert len(differences.split("\n\n")[0].split()) >= 10


def test_all_nets_are_found() -> None:
    assert {net.__name__ for net in _nets()} == {
        "Bicubic",
        "IRCNN",
        "IRCNNDenoiser",
        "LargeKernelUNet",
        "PhotoUNet",
        "ResidualUNet",
        "SRCNN",
        "UNet",
        "VDSR",
    }
