"""Nets of runs that the user has made, or trusts: made of the settings of the run, by classes from anywhere.

Checkpoints are not signed, so a file in such a run brings its tensors alone: the class is the one that the signed
settings name (``zoomsr.runs.trust``), and a file that says otherwise is refused.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from zoomsr.pretrained.vetting import foreign, require_net
from zoomsr.runs.job import Job
from zoomsr.runs.layout import run_of
from zoomsr.runs.trust import require_own


def signed_settings(path: Path, config: Mapping[str, Any], nets: Container[str]) -> dict[str, Any] | None:
    """The settings of the net in the run in which a file of weights lies.

    Args:
        path: of the file.
        config: of the net, as the file says.
        nets: classes that the user has named.

    Returns:
        ``_target_`` and arguments; None where they are not needed, because the file names only classes that it may
        name, or where this user has not signed them.
    """
    run = run_of(path.resolve())
    if run is None or foreign(config, nets) is None:
        return None
    try:
        require_own(run)
        settings = Job(run).settings().get("model")
    except ValueError:
        return None
    return settings if isinstance(settings, dict) else None


def made(path: Path, settings: dict[str, Any]) -> nn.Module:
    """The net of signed settings, made as training makes it.

    Raises:
        ValueError: its class cannot be imported, refuses the arguments, or makes no net.
    """
    from zoomsr.cli.config import instantiate  # Hydra, of which zoom needs nothing else

    try:
        net = instantiate(settings)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return require_net(path, settings, net)
