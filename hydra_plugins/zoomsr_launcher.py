"""Hydra's launcher of ``python -m zoomsr.train -m``: every job is a fresh process with frozen settings.

It lies here because Hydra finds plugins in this namespace package only. Hydra imports it at the start of any of its
applications, so everything else is imported when jobs are launched.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from zoomsr.runs.job import Job


class ZoomsrLauncher(BasicLauncher):
    """Freezes the settings of a batch of jobs, runs those that have no scores, and returns their metrics.

    A job's metric is its best ``monitor`` over the epochs, which any sweeper may maximize or minimize. Where the jobs
    run is zoomsr's own setting ``launcher``. A search (``hparams_search``) runs its trials itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self._jobs: list[Job] = []
        self._where: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See ``Launcher``."""
        self._search = task_function
        super().setup(hydra_context=hydra_context, task_function=self._freeze, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """See ``Launcher``. A job that crashes stops no other: its sweeper is told at the end of the batch.

        Raises:
            SystemExit: the jobs were told to stop.
        """
        from zoomsr.cli.config import instantiate
        from zoomsr.jobs import sweep
        from zoomsr.runs.files import short
        from zoomsr.runs.job import STOPPED
        from zoomsr.runs.layout import MULTIRUN
        from zoomsr.runs.trust import sign

        assert self.config is not None  # Hydra has called setup()
        folder = Path(self.config.hydra.sweep.dir)
        if not (folder / MULTIRUN).is_file():  # which Hydra's own sweeper writes, and others may not
            folder.mkdir(parents=True, exist_ok=True)
            OmegaConf.save(self.config, folder / MULTIRUN)
        sign(folder)
        returns = super().launch(job_overrides, initial_job_idx)
        jobs = [one.return_value for one in returns]  # raises where settings were wrong
        if self._where is None:
            return returns
        self._jobs += jobs
        is_grid = self.config.hydra.runtime.choices["hydra/sweeper"] == "basic"
        resume = f"sweep_resume={short(folder)}" if is_grid else None
        code = sweep.run(jobs, instantiate(self._where), known=self._jobs, folder=folder, resume=resume)
        if code in STOPPED:
            sys.exit(code)
        for one, job in zip(returns, jobs, strict=True):
            if job.is_finished:
                one.return_value = sweep.metric(job)
            else:
                one.status = JobStatus.FAILED
                one.return_value = ValueError(f"{job.path.name} failed: {job.status().get('error', '')}")
        return returns

    def _freeze(self, config: DictConfig) -> Any:
        from zoomsr.cli.config import plain
        from zoomsr.jobs import sweep

        if config.get("hparams_search") is not None:
            return self._search(config)
        self._where = config.launcher
        return sweep.freeze(plain(config))


ConfigStore.instance().store(
    group="hydra/launcher",
    name="zoomsr",
    node={"_target_": f"{__name__}.{ZoomsrLauncher.__name__}"},
    provider="zoomsr",
)
