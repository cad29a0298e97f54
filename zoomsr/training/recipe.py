"""The recipe of one training run, from its settings to its directory."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
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

from zoomsr.cli.config import instantiate, plain
from zoomsr.cli.console import say
from zoomsr.cli.overrides import LAST
from zoomsr.data.datamodule import PairsDataModule
from zoomsr.hardware.devices import compile_mode, is_out_of_memory, training_device
from zoomsr.models import scale_of
from zoomsr.models.selfcheck import TOLERANCE, largest_difference
from zoomsr.pretrained.weights import Weights, open_plain
from zoomsr.runs.files import short
from zoomsr.runs.job import PRUNED, settings_hash
from zoomsr.training.callbacks.ema import EMA
from zoomsr.training.callbacks.exact_resume import ExactResume
from zoomsr.training.callbacks.last_checkpoint import Stopped
from zoomsr.training.callbacks.limits import Budget, StepLimit, TimeLimit
from zoomsr.training.callbacks.pruning import Pruned
from zoomsr.training.callbacks.results import Results
from zoomsr.training.checkpoint_io import AtomicCheckpoints, newest_intact
from zoomsr.training.module import ZoomModule
from zoomsr.training.precision import choose_precision
from zoomsr.training.summary import log_hyperparameters, say_result, say_start


def train(settings: Mapping[str, Any]) -> None:
    """Fit, test the best weights, write the run, and say what came out; on every rank of a run.

    Args:
        settings: conf/train.yaml, resolved, as plain data.
    """
    _quieten_lightning()
    config = OmegaConf.create(dict(settings))
    seed_everything(config.seed, workers=True, verbose=False)
    torch.backends.cudnn.allow_tf32 = config.get("tf32", True)  # not matrix products: a JPEG degradation has some
    data: PairsDataModule = instantiate(config.data.module)
    text = config.get("budget")  # which older versions had not, when they froze their settings
    budget = None if text is None else Budget(str(text))
    module = build_module(config, budget)
    _require_one_scale(config, data, module)
    start = _starting_point(config, module)
    accelerator = _checked_accelerator(config, module)
    device = training_device(accelerator)
    precision = choose_precision(str(config.trainer.precision), device=device, start=start)
    config.trainer.precision = precision.name  # ranks must agree on it too
    results = Results(
        Path(config.run_dir),
        net_name=config.choices.model,
        net_config=plain(config.model),
        settings_hash=settings_hash(plain(config)),
    )
    trainer = _trainer(config, results, budget, accelerator=accelerator)
    if trainer.is_global_zero:
        say_start(config, data=data, module=module, trainer=trainer, start=start, reason=precision.reason)
    if any(parameter.requires_grad for parameter in module.net.parameters()):
        with _disk_errors(Path(config.run_dir)), _interrupts(trainer, Path(config.run_dir)), _full_memory(config):
            _fit(trainer, module, data, start=start)
    best = _best(trainer).best_model_path
    if best:
        # Not by test(ckpt_path=), where the callback of ema puts back the weights of which the file holds the mean.
        module.load_state_dict(open_plain(Path(best))["state_dict"])
    with _interrupts(trainer, Path(config.run_dir)), _full_memory(config):
        trainer.test(module, data, verbose=False)
    if trainer.is_global_zero:
        log_hyperparameters(trainer, config)
        say_result(Path(config.run_dir))


def build_module(config: DictConfig, budget: Budget | None = None) -> ZoomModule:
    """Net, loss, optimizer and schedule in the one LightningModule; the config goes into checkpoints as plain data."""
    net = instantiate(config.model)
    if config.channels_last:
        net = net.to(memory_format=torch.channels_last)
    if config.compile:
        # In place, which keeps "_orig_mod." out of the checkpoint; training patches have one size.
        net.compile(
            dynamic=False, mode=compile_mode(config.compile, accumulated=config.trainer.accumulate_grad_batches)
        )
    module = ZoomModule(
        net,
        loss=instantiate(config.loss),
        optimizer=instantiate(config.optimizer),
        schedule=instantiate(config.scheduler),
        max_steps=_max_steps(config),
        clock=None if budget is None else lambda: budget.share,
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
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # how trainer.profiler shows its table
    # Lightning 2.6 asks torch 2.13 in a way that torch will drop; theirs to mend.
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    # Our metrics are synchronised when they are computed: every rank logs the same mean.
    warnings.filterwarnings("ignore", message=r"It is recommended to use `self.log\(.*sync_dist=True")
    # A few hundred patches come from memory: workers would cost more than they bring.
    warnings.filterwarnings("ignore", message=r".*does not have many workers")
    # torch.compile asks for TF32 in matrix products, of which no net has any.
    warnings.filterwarnings("ignore", message=r"TensorFloat32 tensor cores for float32 matrix multiplication")
    # A run that goes on finds its own checkpoints.
    warnings.filterwarnings("ignore", message=r"Checkpoint directory .* exists and is not empty")
    # A machine of a cluster may well run a training by itself.
    warnings.filterwarnings("ignore", message=r"The `srun` command is available")
    # An epoch may be shorter than the interval of the per-step curves; the curves by epoch are there all the same.
    warnings.filterwarnings("ignore", message=r"The number of training batches .* smaller than the logging interval")


def _require_one_scale(config: DictConfig, data: PairsDataModule, module: ZoomModule) -> None:
    if scale_of(module.net) != data.degradation.scale:
        scales = f"enlarges by {scale_of(module.net)}, but degradation shrinks by {data.degradation.scale}"
        advice = "a denoiser goes with degradation=gaussian_noise, and no other net"
        raise ValueError(f"model={config.choices.model} {scales}: {advice}")


def _starting_point(config: DictConfig, module: ZoomModule) -> str | None:
    """The checkpoint to go on from; weights alone are loaded here. Another net is refused before anything starts."""
    if config.ckpt_mode not in ("resume", "weights"):
        raise ValueError(f"ckpt_mode={config.ckpt_mode} must be resume or weights")
    if config.ckpt is None:
        return None
    run = Path(config.run_dir if config.ckpt == LAST else config.ckpt)
    path = newest_intact(run / "checkpoints") if run.is_dir() else run
    if path is None:
        return None  # a job of a sweep, or of a cluster, that starts for the first time
    weights = Weights.read(path)
    weights.require(plain(config.model))
    if config.ckpt_mode == "weights":
        weights.load_into(module.net)
        return None
    return str(path)


def _checked_accelerator(config: DictConfig, module: ZoomModule) -> str:
    """``trainer.accelerator``; ``auto`` is an Apple GPU only where that computes what the CPU does."""
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


def _trainer(config: DictConfig, results: Results, budget: Budget | None, *, accelerator: str) -> Trainer:
    limits = _limits(config) if budget is None else [*_limits(config), budget]
    is_unlimited = budget is not None or (limits and config.trainer.max_epochs is None)
    callbacks: list[Callback] = [*limits, results, ExactResume()]
    if config.ema is not None:
        callbacks.append(EMA(config.ema))
    callbacks += [instantiate(node) for node in config.callbacks.values() if node is not None]
    loggers = [instantiate(node) for node in config.logger.values()] if config.logger else False
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
    except (MisconfigurationException, TypeError) as error:
        gpus = f"this machine has {torch.cuda.device_count()} GPU(s); trainer=cpu works everywhere"
        raise ValueError(f"the trainer cannot start: {error} ({gpus})") from None
    return trainer


def _limits(config: DictConfig) -> list[Callback]:
    """What stops a training before its last epoch; the other callbacks, which come later, know it at that step."""
    steps, time = _max_steps(config), config.trainer.get("max_time")
    limits: list[Callback] = [] if steps is None else [StepLimit(steps)]
    try:
        if time is not None:
            limits.append(TimeLimit(plain(time) if isinstance(time, DictConfig) else str(time)))
        return limits
    except MisconfigurationException:
        raise ValueError(f"trainer.max_time={time} must be DD:HH:MM:SS; 00:00:30:00 is half an hour") from None


class _Unprofiled(PassThroughProfiler):
    """Lightning opens some 80 contexts in a step for a profiler that is not there: here they take no time."""

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
            say({"stopped": f"saved in {short(stop.path)}; python -m zoomsr.train ckpt={run} goes on"})
        # A further rank that ended with an error would make Lightning kill the first one.
        sys.exit(128 + stop.signal if trainer.is_global_zero else 0)
    except Pruned:
        sys.exit(PRUNED if trainer.is_global_zero else 0)
    except MisconfigurationException as error:  # a monitor that nothing logs, for instance
        raise ValueError(" ".join(str(error).split())) from None


@contextmanager
def _interrupts(trainer: Trainer, run_dir: Path) -> Iterator[None]:
    """Ctrl-C where nothing is saved any more: the second one, or one during the test; Lightning would exit with 1."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        if not isinstance(stop, KeyboardInterrupt) and not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        if trainer.is_global_zero:
            has_checkpoint = newest_intact(run_dir / "checkpoints") is not None
            resume = f"python -m zoomsr.train ckpt={short(run_dir)} goes on from its last checkpoint"
            say({"stopped": f"at once; {resume if has_checkpoint else 'nothing was saved yet'}"})
        sys.exit(128 + signal.SIGINT)


@contextmanager
def _disk_errors(run_dir: Path) -> Iterator[None]:
    """Say where there is no room, also where TensorBoard's thread is the first to find that out."""
    hook = threading.excepthook
    # The thread's own traceback says nothing more: its writer raises the error again for us.
    threading.excepthook = lambda failed: None if issubclass(failed.exc_type, OSError) else hook(failed)
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(f"{run_dir} cannot be written to: {error.strerror}") from error
    finally:
        threading.excepthook = hook


@contextmanager
def _full_memory(config: DictConfig) -> Iterator[None]:
    """Say which settings take less."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ValueError(_less_memory(config, error)) from None


def _less_memory(config: DictConfig, error: BaseException) -> str:
    data = config.data
    settings = [
        f"data.batch_size={max(1, data.batch_size // 2)} (now {data.batch_size}) "
        f"with trainer.accumulate_grad_batches={2 * config.trainer.accumulate_grad_batches} trains the same",
        f"data.patch={data.patch // 2} (now {data.patch}) takes a quarter",
        f"trainer.precision=bf16-mixed (now {config.trainer.precision}) about half",
        "data.resident=host leaves the pixels in main memory",
        *([] if data.val_patch else ["data.val_patch=512 validates on the centres of photographs"]),
    ]
    return f"the device's memory is full: {'; '.join(settings)} ({str(error).split('.')[0]})"


def _best(trainer: Trainer) -> ModelCheckpoint:
    callback = trainer.checkpoint_callback
    if not isinstance(callback, ModelCheckpoint):
        raise ValueError("callbacks lacks a ModelCheckpoint: the best weights could not be tested")
    return callback
