"""What the user says of nets of their own, whose classes lie outside zoomsr.

A file of weights never chooses what is imported. The user does: by naming the class (``--net mynets:Tiny``), or by the
signature under the settings of a run (``zoomsr.pretrained.signed``), which ``--trust`` gives to a run of someone else.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from zoomsr.pretrained.names import weights_file
from zoomsr.runs.layout import run_of
from zoomsr.runs.trust import require_own, sign


def accepted(models: Sequence[str], *, nets: Sequence[str], trust: bool) -> frozenset[str]:
    """What a command line says of nets of the user's own.

    Args:
        models: that are to be opened: names, paths, runs; see ``weights_file``.
        nets: ``mynets:Tiny``: further classes that their files may hold.
        trust: sign the settings of the runs among ``models``, so that later commands follow them too.

    Returns:
        The classes, as files name them: ``mynets.Tiny``.

    Raises:
        ValueError: no such class, or no run that could be signed.
    """
    if trust:
        files = [path for model in models if (path := weights_file(model)) is not None]
        runs = [run for path in files if (run := run_of(path.resolve())) is not None]
        if not runs:
            raise ValueError("--trust goes with the folder of a run, and none is named")
        for run in runs:
            _sign(run)
    return frozenset(_class(text) for text in nets)


def _sign(run: Path) -> None:
    sign(run)
    try:
        require_own(run)
    except ValueError:
        raise ValueError(
            f"--trust cannot be kept for {run}: it, or the folder of your key, cannot be written to "
            "(ZOOMSR_STATE moves the key); --net mynets:Tiny names the net's class instead"
        ) from None


def _class(text: str) -> str:
    """``mynets:Tiny`` as ``mynets.Tiny``, which is imported here.

    A class of modules alone: a file that asks for ``os.remove`` must not get it by a line copied from its refusal.
    """
    try:
        found = pkgutil.resolve_name(text)
    except (ImportError, AttributeError, ValueError) as error:
        advice = (
            "MODULE:CLASS, of a module that is installed or in the current folder, or whose folder is in PYTHONPATH"
        )
        raise ValueError(f"--net {text}: {error}; it must be {advice}") from None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"--net {text} is no class of torch modules")
    return text.replace(":", ".")
