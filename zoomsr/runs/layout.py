"""Every file and folder name in the directory of a run, a sweep, a search or an evaluation.

A name on disk is part of what users and older runs rely on: it stands here once, and does not change.
"""

from __future__ import annotations

from pathlib import Path

# Settings and state
SETTINGS = "settings.yaml"
"""Every setting, resolved, as plain data; see ``zoomsr.runs.job.Job``."""
STATUS = "status.json"
"""How a job ended: state, exit code, error."""
OUTPUT = "output.log"
"""What a job in a process of its own has printed."""
HYDRA = ".hydra"
"""Hydra's notes of a run."""
HYDRA_CONFIG = f"{HYDRA}/config.yaml"
HYDRA_OVERRIDES = f"{HYDRA}/overrides.yaml"
HYDRA_SELF = f"{HYDRA}/hydra.yaml"
"""Hydra's own settings: where the config came from."""
STARTS = "starts.json"
"""Code, versions, device and data of each start of a run; see ``zoomsr.runs.provenance``."""
CHANGES = "changes{number}.diff"
"""Uncommitted changes of the code of a start; the first one has no number."""
LOCK = ".lock"
LOCKED_BY = ".locked_by"
"""Host and process that hold the lock; not in the lock file itself, which some versions of filelock empty."""
MADE_BY = ".made_by"
"""Signatures of the settings; see ``zoomsr.runs.trust``."""
REPLACED = ".replaced"
"""The run that this one replaces, until there is something in its place."""

# Checkpoints
CHECKPOINTS = "checkpoints"
BEST_CKPT = "best.ckpt"
LAST_CKPT = "last.ckpt"
PREVIOUS_CKPT = "previous.ckpt"
"""The last checkpoint but one."""

# Scores
METRICS_CSV = "metrics.csv"
"""A row for each epoch, and for each validation within an epoch."""
METRICS_JSON = "metrics.json"
"""The final scores; a run with this file is finished."""
IMAGES_CSV = "images.csv"
"""A row for each image, net and protocol of an evaluation."""
PROFILE = "profile.txt"
"""The tables of ``trainer.profiler``."""
EVENTS = "events.out.tfevents.*"
"""TensorBoard's files, as a pattern."""
SPLIT_EVENTS = (f"train/{EVENTS}", f"val/{EVENTS}")
"""Curves by epoch; each folder is a run for TensorBoard."""
TENSORBOARD = "tensorboard"
"""The folder of all event files of older versions."""
CSV = "csv"
"""Rows of logger=csv."""
WANDB = "wandb"
"""Files of Weights & Biases, which chooses the name."""
LOGGERS_JSON = "loggers.json"
"""The ids of a run at W&B, MLflow and trackio, and what they were given; see ``zoomsr.training.loggers``."""
NONFINITE = "nonfinite_step{step}.safetensors"
"""The batch whose loss was NaN or Inf, by the optimizer step."""

# Pictures
COMPARISON_PNG = "comparison.png"
PICTURES = "pictures"
"""A sub-folder for each crop of a validation image, see below."""
GALLERY = "gallery"
"""A sub-folder for each of the best and worst crops: ``gain_01``, ``error_01``, ..."""
GALLERY_PNG = "gallery.png"

# The folder of a crop; see zoomsr.runs.crops
CROP_JSON = "area.json"
CROP_LR, CROP_HR, CROP_BICUBIC, CROP_TESTED = "input.png", "truth.png", "bicubic.png", "tested.png"
CROP_PHOTOGRAPH = "photograph.png"
CROP_EPOCH = "epoch_{epoch:05d}.png"
CROP_EPOCHS = "epoch_*.png"

# Sweeps and searches
MULTIRUN = "multirun.yaml"
"""Hydra's notes of a sweep."""
STUDY_DB = "study.db"
"""Optuna's storage of a search."""
TRIAL = "trial_{number}"
TRIALS = "trial_*"

# What is in a directory from the start, beside files of a log; as patterns
NOTES = (
    *(HYDRA, EVENTS, TENSORBOARD, CSV, WANDB, LOGGERS_JSON, SETTINGS, STATUS, MADE_BY, LOCK, LOCKED_BY, STARTS),
    CHANGES.format(number=""),
)
# What shows that a directory holds a run or a search; .hydra does not, because every rank of torchrun writes it
SIGNS = (SETTINGS, CHECKPOINTS, METRICS_JSON, METRICS_CSV, STUDY_DB)
# What else a run leaves, as patterns
RESULTS = (
    *(IMAGES_CSV, PROFILE, COMPARISON_PNG, PICTURES, GALLERY, GALLERY_PNG, *SPLIT_EVENTS, "*_step[0-9]*", "*.log"),
    CHANGES.format(number="_*"),
)


def best_checkpoint(run: Path) -> Path:
    """The weights of the best epoch."""
    return run / CHECKPOINTS / BEST_CKPT


def run_of(checkpoint: Path) -> Path | None:
    """The run in whose folder of checkpoints a file lies; None for any other file."""
    return checkpoint.parent.parent if checkpoint.parent.name == CHECKPOINTS else None
