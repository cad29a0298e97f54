"""``python -m zoomsr.train``: fit a net, test the best weights, leave a run. Configured by conf/train.yaml."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from zoomsr.cli.config import instantiate, plain, start
from zoomsr.cli.console import say
from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.overrides import LAST, completed, is_first_rank
from zoomsr.imaging.listing import require_folder
from zoomsr.jobs.launchers import train_here
from zoomsr.jobs.sweep import metric
from zoomsr.pretrained.names import pretrained_nets, require_file
from zoomsr.runs.directories import discard_unused, locks_end
from zoomsr.runs.files import short
from zoomsr.runs.job import STOPPED, Job, differences, known_to

_FOLDER = "zoomsr.data.sources.photographs.folder"  # the source of data=folder, and of those that inherit from it


def main() -> None:
    """The command: one run, one search, or a sweep, whose jobs ``hydra_plugins.zoomsr_launcher`` runs."""
    with one_line_errors(), locks_end():
        sys.argv[1:] = completed(sys.argv[1:])
        start(_task, config_name="train")


def _task(config: DictConfig) -> float | None:
    if config.get("hparams_search") is None:
        return _run(config)
    code = instantiate(config.hparams_search).run(instantiate(config.launcher))
    if code in STOPPED:
        sys.exit(code)
    if code:
        raise ValueError("the search has trials without scores")
    return None


def _run(config: DictConfig) -> float | None:
    _require_files(config)
    settings = plain(config)
    job = Job(Path(config.run_dir))
    # Of all ranks that torchrun or srun has started this process is one.
    ranks = max(int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "SLURM_NTASKS"))
    if ranks > 1 and not any(text.startswith("hydra.run.dir=") for text in sys.argv):
        raise ValueError(f"all {ranks} ranks must write into one directory: add hydra.run.dir=runs/NAME")
    if is_first_rank():
        if config.ckpt == LAST and job.exists:
            say({"resumes": short(job.path)})
            for line in differences(old := job.settings(), known_to(old, settings)):
                say({"changed": line})
        job = Job.freeze(settings)
    if ranks > 1:
        train_here(job, settings)
    elif code := instantiate(config.launcher).run_alone(job):
        if code < 0 and code not in STOPPED:
            raise ValueError(job.status()["error"])
        discard_unused()
        sys.exit(code if code > 0 else 128 - code)
    return metric(job) if is_first_rank() else None


def _require_files(config: DictConfig) -> None:
    """Raise ValueError where a checkpoint or a folder is not there, as the training would once torch is imported."""
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
