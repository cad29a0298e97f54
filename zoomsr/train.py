"""``python -m zoomsr.train``: fit a net, test the best weights, leave a run. Configured by conf/train.yaml."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from zoomsr.cli.config import instantiate, plain, start, sweep_directory
from zoomsr.cli.console import say
from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.overrides import LAST, completed, is_first_rank
from zoomsr.jobs.launchers import train_here
from zoomsr.runs.directories import discard_unused, locks_end
from zoomsr.runs.job import STOPPED, Job, differences
from zoomsr.runs.trust import HYDRAS, sign


def main() -> None:
    """The command: one run, or every job of a sweep once Hydra has resolved the settings of all of them."""
    with one_line_errors(), locks_end():
        sys.argv[1:] = completed(sys.argv[1:])
        sweep = _Sweep()
        start(partial(_task, sweep), config_name="train")
        sweep.finish()


def _task(sweep: _Sweep, config: DictConfig) -> None:
    if (folder := sweep_directory()) is not None:
        sign(folder)
    if config.get("hparams_search") is not None:
        sweep.search(config)
    elif folder is not None:
        sweep.add(config)
    else:
        _run(config)


def _run(config: DictConfig) -> None:
    settings = plain(config)
    job = Job(Path(config.run_dir))
    ranks = _started_ranks()
    if is_first_rank():
        for line in differences(job.settings(), settings) if config.ckpt == LAST and job.exists else ():
            say({"changed": line})
        job = Job.freeze(settings)
    if ranks > 1:
        train_here(job, settings)
    elif code := instantiate(config.launcher).run_alone(job):
        if code < 0 and code not in STOPPED:
            raise ValueError(job.status()["error"])
        discard_unused()
        sys.exit(code if code > 0 else 128 - code)


def _started_ranks() -> int:
    """How many ranks torchrun or srun has started, of which this process is one."""
    ranks = max(int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "SLURM_NTASKS"))
    if ranks > 1 and not any(text.startswith("hydra.run.dir=") for text in sys.argv):
        raise ValueError(f"all {ranks} ranks must write into one directory: add hydra.run.dir=runs/NAME")
    return ranks


class _Sweep:
    """The jobs of a sweep, which run as fresh processes when all of them are known."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._code = 0
        self._config: DictConfig | None = None
        self._folder: Path | None = None

    def add(self, config: DictConfig) -> None:
        """Freeze a job's settings; a finished one is left as it is."""
        job = Job(Path(config.run_dir))
        if not job.is_finished:
            job = Job.freeze(plain(config) | ({} if config.ckpt else {"ckpt": LAST}))
        sign(job.path, HYDRAS)  # which are written anew
        self._jobs.append(job)
        self._config, self._folder = config, sweep_directory()

    def search(self, config: DictConfig) -> None:
        """Search at once: what a trial is given depends on those before it."""
        self._code = instantiate(config.hparams_search).run(instantiate(config.launcher)) or self._code

    def finish(self) -> None:
        """Run what is missing, print the table, and exit as the worst of them."""
        if self._config is not None and self._folder is not None:
            from zoomsr.jobs.sweep import finish

            finish(self._jobs, instantiate(self._config.launcher), sweep_dir=self._folder)
        if self._code:
            sys.exit(self._code)


if __name__ == "__main__":
    main()
