"""One training run, from its settings to its directory."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.accelerators import MPSAccelerator
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.profilers import PassThroughProfiler
from omegaconf import DictConfig, OmegaConf

from zoomsr.cli.config import CONF_DIR, instantiate, plain
from zoomsr.cli.console import say
from zoomsr.data.datamodule import PairsDataModule
from zoomsr.data.patches import per_stage
from zoomsr.hardware.devices import MemoryFullError, compile_mode, is_out_of_memory, training_device
from zoomsr.models import scale_of
from zoomsr.models.selfcheck import TOLERANCE, largest_difference
from zoomsr.pretrained.weights import open_plain
from zoomsr.runs.files import short
from zoomsr.runs.job import PRUNED, settings_hash
from zoomsr.runs.layout import CHECKPOINTS
from zoomsr.training.callbacks.last_checkpoint import Stopped
from zoomsr.training.callbacks.limits import Budget, StepLimit, TimeLimit
from zoomsr.training.callbacks.loggers import Loggers
from zoomsr.training.callbacks.pruning import Pruned
from zoomsr.training.callbacks.results import Results
from zoomsr.training.checkpoint_io import AtomicCheckpoints, newest_intact
from zoomsr.training.module import ZoomModule
from zoomsr.training.precision import choose_precision
from zoomsr.training.summary import hyper_parameters, profile_kept, record_start, say_result, say_start
from zoomsr.training.targets import ground_truth
from zoomsr.training.warm_start import starting_point, with_teacher


def train(settings: Mapping[str, Any]) -> None:
    """Fit, test the best weights, write the run's directory, and print the result; on every rank of a run.

    Args:
        settings: conf/train.yaml, resolved, as plain data.
    """
    _quieten_lightning()
    config = OmegaConf.create(dict(settings))
    seed_everything(config.seed, workers=True, verbose=False)
    torch.backends.cudnn.allow_tf32 = config.get("tf32", True)  # not matrix products: a JPEG degradation has some
    data: PairsDataModule = instantiate(config.data.module)
    text = config.get("budget")  # not in the settings of older versions
    budget = None if text is None else Budget(str(text))
    module = build_module(config, budget)
    data.progress = module.progress
    _require_one_scale(config, data, module)
    start = starting_point(
        module.net, plain(config.model), ckpt=config.ckpt, mode=config.ckpt_mode, run_dir=Path(config.run_dir)
    )
    accelerator = _checked_accelerator(config, module)
    device = training_device(accelerator)
    precision = choose_precision(str(config.trainer.precision), device=device, start=start.resume)
    config.trainer.precision = precision.name  # ranks must agree on it too
    if "results" not in config.callbacks:  # frozen by an older version
        config.callbacks = OmegaConf.merge(OmegaConf.load(CONF_DIR / "callbacks" / "base.yaml"), config.callbacks)
    if config.callbacks.results is None:
        raise ValueError("callbacks.results=null: without it a run has no metrics")
    results: Results = instantiate(config.callbacks.results)(
        net_config=plain(config.model),
        settings_hash=settings_hash(plain(config)),
        started_from=with_teacher(
            start.trained_on, OmegaConf.select(config, "target.teacher"), scale=scale_of(module.net)
        ),
    )
    loggers = Loggers(Path(config.run_dir), hyper_parameters(config))
    trainer = _trainer(config, [results, loggers], budget, accelerator=accelerator)
    if trainer.is_global_zero:
        record_start(config, data=data, trainer=trainer, start=start)
        say_start(config, data=data, module=module, trainer=trainer, start=start.resume, reason=precision.reason)
    with profile_kept(Path(config.run_dir)), _one_line_causes(config, trainer):
        if any(parameter.requires_grad for parameter in module.net.parameters()):
            _fit(trainer, module, data, start=start.resume)
        if best := trainer.checkpoint_callback.best_model_path:  # type: ignore[union-attr]  # _trainer has checked it
            # Not by test(ckpt_path=), with which EMA's callback would load the weights that are not averaged.
            module.load_state_dict(open_plain(Path(best))["state_dict"])
        trainer.test(module, data, verbose=False)
        loggers.finish()
    if trainer.is_global_zero:
        say_result(Path(config.run_dir), repeats=config.get("rerun"))


def build_module(config: DictConfig, budget: Budget | None = None) -> ZoomModule:
    """Net, loss, optimizer and schedule in the one LightningModule; the config goes into checkpoints as plain data."""
    net = instantiate(config.model)
    if config.channels_last:
        net = net.to(memory_format=torch.channels_last)
    if config.compile:
        # In place, which keeps "_orig_mod." out of the checkpoint; a stage's training patches have one size.
        net.compile(
            dynamic=False, mode=compile_mode(config.compile, accumulated=config.trainer.accumulate_grad_batches)
        )
    target = config.get("target")  # not in the settings of older versions
    module = ZoomModule(
        net,
        loss=instantiate(config.loss),
        optimizer=instantiate(config.optimizer),
        schedule=instantiate(config.scheduler),
        max_steps=_max_steps(config),
        clock=None if budget is None else lambda: budget.share,
        target=ground_truth if target is None else instantiate(target),
    )
    hyper_parameters = {"model": plain(config.model), "loss": plain(config.loss), "seed": config.seed}
    module.save_hyperparameters(hyper_parameters, logger=False)
    return module


def _max_steps(config: DictConfig) -> int | None:
    steps: int = config.trainer.get("max_steps", -1)
    return None if steps == -1 else steps


def _quieten_lightning() -> None:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # its hardware lines repeat our summary
    for message in (
        r".*isinstance\(treespec, LeafSpec\)",  # Lightning 2.6 uses what a later torch will drop
        r"It is recommended to use `self.log\(.*sync_dist=True",  # every rank holds the same mean already
        r".*does not have many workers",  # patches come from packed pixels by threads
        r"TensorFloat32 tensor cores for float32 matrix multiplication",  # no net has any
        r"Checkpoint directory .* exists and is not empty",  # a resumed run's own
        r"The `srun` command is available",  # a machine of a cluster may train alone
        r"You requested to overfit but enabled",  # see PairsDataModule.train_dataloader
        r"The number of training batches .* smaller than the logging interval",  # curves by epoch are always written
    ):
        warnings.filterwarnings("ignore", message=message)


def _require_one_scale(config: DictConfig, data: PairsDataModule, module: ZoomModule) -> None:
    if scale_of(module.net) != data.degradation.scale:
        scales = f"enlarges by {scale_of(module.net)}, but degradation shrinks by {data.degradation.scale}"
        advice = "a denoiser goes with degradation=gaussian_noise, and no other net"
        raise ValueError(f"model={config.choices.model} {scales}: {advice}")


def _checked_accelerator(config: DictConfig, module: ZoomModule) -> str:
    """``trainer.accelerator``; ``auto`` takes an Apple GPU only if it agrees with the CPU."""
    name: str = config.trainer.accelerator
    if name not in ("auto", "gpu", "mps") or not MPSAccelerator.is_available():
        return name
    difference = largest_difference(module.net, torch.device("mps"))
    if difference <= TOLERANCE:
        return name
    wrong = f"the Apple GPU computes something else than the CPU (largest difference {difference:.2g} of the values)"
    if name == "auto":
        say({"device": f"{wrong}: the CPU is used; trainer.accelerator=mps takes the GPU all the same"})
        return "cpu"
    say({"warning": f"{wrong}: scores may be wrong; trainer=cpu is right"})
    return name


def _trainer(config: DictConfig, recorders: Sequence[Callback], budget: Budget | None, *, accelerator: str) -> Trainer:
    limits = [*_limits(config), *([] if budget is None else [budget])]
    is_unlimited = budget is not None or (limits and config.trainer.max_epochs is None)
    chosen = [node for name, node in config.callbacks.items() if node is not None and name != "results"]
    callbacks: list[Callback] = [*limits, *recorders, *map(instantiate, chosen)]
    loggers = [instantiate(node) for node in (config.get("logger") or {}).values()]
    try:
        trainer: Trainer = instantiate(config.trainer)(
            accelerator=accelerator,
            callbacks=callbacks,
            logger=loggers,
            plugins=[AtomicCheckpoints()],
            profiler=config.trainer.get("profiler") or _Unprofiled(),
            max_steps=-1,  # StepLimit's
            max_epochs=-1 if is_unlimited else config.trainer.max_epochs,
        )
    except (MisconfigurationException, ModuleNotFoundError, TypeError) as error:
        gpus = f"this machine has {torch.cuda.device_count()} GPU(s); trainer=cpu works everywhere"
        raise ValueError(f"the trainer cannot start: {error} ({gpus})") from None
    if not isinstance(trainer.checkpoint_callback, ModelCheckpoint):
        raise ValueError("callbacks lacks a ModelCheckpoint: the best weights could not be tested")
    return trainer


def _limits(config: DictConfig) -> list[Callback]:
    """Callbacks that end a training before its last epoch; the others come later, so that they see it at that step."""
    steps, time = _max_steps(config), config.trainer.get("max_time")
    limits: list[Callback] = [] if steps is None else [StepLimit(steps)]
    try:
        if time is not None:
            limits.append(TimeLimit(plain(time) if isinstance(time, DictConfig) else str(time)))
        return limits
    except MisconfigurationException:
        raise ValueError(f"trainer.max_time={time} must be DD:HH:MM:SS; 00:00:30:00 is half an hour") from None


class _Unprofiled(PassThroughProfiler):
    """Saves the time of some 80 contexts that Lightning opens in a step for a profiler that is off."""

    _NOTHING = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]  # theirs generates
        """A context that does nothing."""
        return self._NOTHING


def _fit(trainer: Trainer, module: ZoomModule, data: PairsDataModule, *, start: str | None) -> None:
    try:
        trainer.fit(module, data, ckpt_path=start, weights_only=True)
    except Stopped as stop:
        if trainer.is_global_zero:
            run = short(stop.path.parent.parent)
            say({"stopped": f"saved in {short(stop.path)}; python -m zoomsr.train ckpt={run} resumes it"})
        # A further rank that ended with an error would make Lightning kill the first one.
        sys.exit(128 + stop.signal if trainer.is_global_zero else 0)
    except Pruned:
        sys.exit(PRUNED if trainer.is_global_zero else 0)
    except MisconfigurationException as error:  # a monitor that nothing logs, for instance
        raise ValueError(" ".join(str(error).split())) from None


@contextmanager
def _one_line_causes(config: DictConfig, trainer: Trainer) -> Iterator[None]:
    """One line for Ctrl-C where nothing is saved (the second one, or in the test), a full disk, and full memory."""
    run_dir, hook = Path(config.run_dir), threading.excepthook
    # TensorBoard's thread may meet the full disk first; its writer raises the error again here.
    threading.excepthook = lambda failed: None if issubclass(failed.exc_type, OSError) else hook(failed)
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:  # Lightning makes SystemExit(1) of Ctrl-C
        if not isinstance(stop, KeyboardInterrupt) and not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        if trainer.is_global_zero:
            has_checkpoint = newest_intact(run_dir / CHECKPOINTS) is not None
            resume = f"python -m zoomsr.train ckpt={short(run_dir)} resumes from its last checkpoint"
            say({"stopped": f"at once; {resume if has_checkpoint else 'nothing was saved yet'}"})
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        if error.strerror is None or error.filename is not None:  # it names the file already
            raise
        raise OSError(f"{run_dir} cannot be written to: {error.strerror}") from error
    except (MemoryError, RuntimeError) as error:
        if "returned nan values" in str(error):  # trainer.detect_anomaly, after torch's warning with the traceback
            raise ValueError(f"{error} The warning above names its line in the forward pass") from None
        if not is_out_of_memory(error):
            raise
        raise MemoryFullError(_less_memory(config, error)) from None
    finally:
        threading.excepthook = hook


def _less_memory(config: DictConfig, error: BaseException) -> str:
    """The settings that take less memory."""
    data = config.data
    patch, batch_size = (max(per_stage(value)) for value in (data.patch, data.batch_size))  # of the largest stage
    settings = [
        f"data.batch_size={max(1, batch_size // 2)} (now {batch_size}) "
        f"with trainer.accumulate_grad_batches={2 * config.trainer.accumulate_grad_batches} trains the same",
        f"data.patch={patch // 2} (now {patch}) takes a quarter",
        f"trainer.precision=bf16-mixed (now {config.trainer.precision}) about half",
        "data.resident=host leaves the pixels in main memory",
        *([] if data.val_patch else ["data.val_patch=512 validates on the centres of photographs"]),
    ]
    return f"the device's memory is full: {'; '.join(settings)} ({str(error).split('.')[0]})"
