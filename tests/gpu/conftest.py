"""Everything that must hold on CUDA: ``make test-gpu``, or ``python -m pytest tests/gpu`` in a checkout.

The package need not be installed. Each check is also run on the CPU, in ``test_device_checks.py`` and where its helper
lies, so that only the device is new here.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.gpu)
            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason=f"torch {torch.__version__} finds no CUDA device here"))


@pytest.fixture(autouse=True)
def _children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Child processes find the checkout and the tests' own modules, and ask for GPUs without starting CUDA."""
    paths = [str(HERE.parents[1]), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")


@pytest.fixture
def cuda() -> torch.device:
    return torch.device("cuda", 0)
