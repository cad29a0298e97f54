"""``python -m zoomsr.train``: fit a net, test the best weights, leave a run. Configured by conf/train.yaml."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from zoomsr.cli.arguments import require_types
from zoomsr.cli.config import compose_for, instantiate, plain, start
from zoomsr.cli.console import said_logs, say
from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.overrides import LAST, completed, is_first_rank, of_any_version
from zoomsr.imaging.listing import require_folder
from zoomsr.jobs.launchers import train_here
from zoomsr.jobs.sweep import metric
from zoomsr.pretrained.names import pretrained_nets, require_file
from zoomsr.runs.directories import discard_unused, locks_end
from zoomsr.runs.files import short
from zoomsr.runs.job import STOPPED, Job, differences, known_to
from zoomsr.runs.rerun import repeated
from zoomsr.runs.run import Run

_FOLDER = "zoomsr.data.sources.photographs.folder"  # the source of data=folder, and of those that inherit from it


def main() -> None:
    """The command: one run, one search, or a sweep, whose jobs ``hydra_plugins.zoomsr_launcher`` runs."""
    begun = time.monotonic()
    with one_line_errors(), locks_end():
        sys.argv[1:] = completed(sys.argv[1:])
        start(partial(_task, begun=begun), config_name="train")


def _task(config: DictConfig, *, begun: float) -> float | None:
    if config.plan or config.get("hparams_search") is None:
        return _run(config, begun=begun)
    code = instantiate(config.hparams_search).run(instantiate(config.launcher))
    if code in STOPPED:
        sys.exit(code)
    if code:
        raise ValueError("the search has trials without scores")
    return None


def _run(config: DictConfig, *, begun: float) -> float | None:
    job = Job(Path(config.run_dir))
    settings = plain(config)
    if config.rerun is not None:
        settings = _repeated(settings, job)
        config = OmegaConf.create(settings)
    _require_possible(config)
    # Of all ranks that torchrun or srun has started this process is one.
    ranks = max(int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "SLURM_NTASKS"))
    if ranks > 1 and not any(text.startswith("hydra.run.dir=") for text in sys.argv):
        raise ValueError(f"all {ranks} ranks must write into one directory: add hydra.run.dir=runs/NAME")
    if config.plan:
        require_types(config)  # a plan replaces numbers, and would not look at what they were
        with said_logs():
            from zoomsr.training.plan import say_plan  # heavy

            say_plan(settings, begun=begun)
        discard_unused()
        return None
    if is_first_rank():
        before = job.settings() if config.ckpt == LAST and job.exists else None
        job = Job.freeze(settings)
        if before is not None:
            say({"resumes": short(job.path)})
            for line in differences(before, known_to(before, job.settings())):
                say({"changed": line})
    if ranks > 1:
        train_here(job, settings)
    elif code := instantiate(config.launcher).run_alone(job):
        if code < 0 and code not in STOPPED:
            raise ValueError(job.status()["error"])
        discard_unused()
        sys.exit(code if code > 0 else 128 - code)
    return metric(job) if is_first_rank() else None


def _repeated(now: dict[str, Any], job: Job) -> dict[str, Any]:
    """The settings of ``rerun=RUN`` as they were frozen, with what the command line changes."""
    if now["ckpt"] == LAST and job.exists:  # it was interrupted
        return {**job.settings(), "ckpt": LAST}
    first = Job(Path(now["rerun"]))
    before = compose_for([*map(of_any_version, Run.read(first.path).overrides)], run_dir=job.path)
    settings = repeated(first, before=before, now=now)
    if is_first_rank():
        for line in differences(repeated(first, before=before, now=before), settings):
            say({"changed": line})
    return settings


def _require_possible(config: DictConfig) -> None:
    """Raise ValueError for what the training would refuse once torch is imported: files that are not there."""
    for key, least in (("scale", 1), ("seed", 0)):
        if not isinstance(config[key], int) or config[key] < least:
            raise ValueError(f"{key}={config[key]} must be a whole number, {least} or more")
    if config.ckpt not in (None, LAST, *pretrained_nets()) and not Path(config.ckpt).is_dir():
        require_file(Path(config.ckpt))
    if OmegaConf.is_missing(config.data.module, "source"):
        raise ValueError("data=base has no photographs: choose another data=, or set data.module.source")
    source = config.data.module.get("source")
    if source is not None and source.get("_target_") == _FOLDER:
        for root in (source.root, source.val_root):
            if root is not None:
                require_folder(Path(root))


if __name__ == "__main__":
    main()
