"""Jobs that wait for one another: only jobs that run at the same time come to their end."""

from __future__ import annotations

import os
import time
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer


class Meeting(Callback):
    """Holds the training until as many jobs have come as are invited.

    Args:
        folder: where each job leaves a file; it must exist.
        jobs: how many are invited.
    """

    def __init__(self, *, folder: str, jobs: int) -> None:
        self._folder, self._jobs = Path(folder), jobs

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Raises TimeoutError after two minutes alone."""
        (self._folder / str(os.getpid())).touch()
        end = time.monotonic() + 120
        while len(list(self._folder.iterdir())) < self._jobs:
            if time.monotonic() > end:
                raise TimeoutError(f"fewer than {self._jobs} jobs ran beside one another")
            time.sleep(0.1)
