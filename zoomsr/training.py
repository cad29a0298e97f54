"""The recipe of one training run, from a config to a run's directory."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig

from zoomsr.callbacks.pictures import COMPARISON
from zoomsr.callbacks.results import Results
from zoomsr.config import instantiate, plain
from zoomsr.data.datamodule import PairsDataModule
from zoomsr.module import ZoomModule, scale_of
from zoomsr.runs import METRICS_JSON, Run
from zoomsr.screen import CONSOLE, say, score_table, short
from zoomsr.weights import Weights


def run(config: DictConfig) -> float | None:
    """Fit, test the best weights, write the run, and say what came out.

    Returns:
        The best value of the monitored metric; for a net without parameters, the tested PSNR on Y.
    """
    _quieten_lightning()
    run_dir, net_name = Path(config.run_dir), HydraConfig.get().runtime.choices["model"]
    seed_everything(config.seed, workers=True, verbose=False)
    data: PairsDataModule = instantiate(config.data.module)
    module = build_module(config)
    if scale_of(module.net) != data.degradation.scale:
        scales = f"enlarges by {scale_of(module.net)}, but degradation shrinks by {data.degradation.scale}"
        raise ValueError(
            f"model={net_name} {scales}: a denoiser goes with degradation=gaussian_noise, and no other net"
        )
    if config.ckpt is not None:
        weights = Weights.read(Path(config.ckpt))  # another net is refused before anything starts
        weights.require(plain(config.model))
        weights.load_into(module.net)
    trainer = _trainer(config, Results(run_dir, net_name=net_name, net_config=plain(config.model)))
    _refuse_parallel_sweep(trainer)
    if trainer.is_global_zero:
        say(_summary(config, data, module, trainer))
    if any(parameter.requires_grad for parameter in module.net.parameters()):
        _fit(trainer, module, data, ckpt=config.ckpt)
    best = _checkpoint(trainer).best_model_path or None
    trainer.test(module, data, ckpt_path=best, verbose=False, weights_only=True)
    if trainer.is_global_zero:
        _log_hyperparameters(trainer, config)
        _report(run_dir)
    best_score = _checkpoint(trainer).best_model_score
    return float(trainer.callback_metrics["test/psnr_y"] if best_score is None else best_score)


def build_module(config: DictConfig) -> ZoomModule:
    """Net, loss, optimizer and schedule in the one LightningModule; the config goes into checkpoints as plain data."""
    net = instantiate(config.model)
    if config.channels_last:
        net = net.to(memory_format=torch.channels_last)
    if config.compile:
        net.compile()  # in place, which keeps "_orig_mod." out of the checkpoint
    module = ZoomModule(
        net,
        loss=instantiate(config.loss),
        optimizer=instantiate(config.optimizer),
        schedule=instantiate(config.scheduler),
    )
    module.save_hyperparameters({"model": plain(config.model), "seed": config.seed}, logger=False)
    return module


def _quieten_lightning() -> None:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # its hardware lines repeat our summary
    # Lightning 2.6 asks torch 2.13 in a way that torch will drop; theirs to mend.
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    # Our metrics are synchronised when they are computed: every rank logs the same mean.
    warnings.filterwarnings("ignore", message=r"It is recommended to use `self.log\(.*sync_dist=True")
    # A few hundred patches come from memory: workers would cost more than they bring.
    warnings.filterwarnings("ignore", message=r".*does not have many workers")


def _trainer(config: DictConfig, results: Results) -> Trainer:
    callbacks = [results, *(instantiate(node) for node in config.callbacks.values() if node is not None)]
    loggers = [instantiate(node) for node in config.logger.values()] if config.logger else False
    try:
        trainer: Trainer = instantiate(config.trainer)(callbacks=callbacks, logger=loggers)
    except (MisconfigurationException, TypeError) as error:
        gpus = f"this machine has {torch.cuda.device_count()} GPU(s); trainer=cpu works everywhere"
        raise ValueError(f"the trainer cannot start: {error} ({gpus})") from None
    return trainer


def _refuse_parallel_sweep(trainer: Trainer) -> None:
    """Lightning's further ranks would start the whole sweep again, each with settings of its own."""
    if trainer.world_size > 1 and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise ValueError(f"a sweep job cannot use {trainer.world_size} devices yet: set trainer.devices=1")


def _fit(trainer: Trainer, module: ZoomModule, data: PairsDataModule, *, ckpt: str | None) -> None:
    try:
        trainer.fit(module, data, ckpt_path=ckpt, weights_only=True)
    except SystemExit:  # Lightning turns Ctrl-C into this
        last = Path(_checkpoint(trainer).dirpath or "") / "last.ckpt"
        kept = f"kept {short(last)}; the same command with ckpt={short(last)} goes on"
        say({"stopped": kept if last.is_file() else "before an epoch was finished: nothing to go on from"})
        raise


def _checkpoint(trainer: Trainer) -> ModelCheckpoint:
    callback = trainer.checkpoint_callback
    if not isinstance(callback, ModelCheckpoint):
        raise ValueError("callbacks lacks a ModelCheckpoint: the best weights could not be tested")
    return callback


def _log_hyperparameters(trainer: Trainer, config: DictConfig) -> None:
    """One row in TensorBoard's hyper-parameters tab: every setting that a table could be sorted by, and the result."""
    groups = ("model", "data", "degradation", "loss", "optimizer", "scheduler")
    settings: dict[str, Any] = {group: HydraConfig.get().runtime.choices[group] for group in groups}
    settings |= {f"{group}.{key}": value for group in groups for key, value in plain(config[group]).items()}
    settings |= {"seed": config.seed, "scale": config.scale, "epochs": trainer.current_epoch}
    scalars = {
        key: value for key, value in settings.items() if "._" not in key and isinstance(value, (int, float, str))
    }
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
    for logger in trainer.loggers:
        logger.log_hyperparams(scalars, metrics)


def _summary(config: DictConfig, data: PairsDataModule, module: ZoomModule, trainer: Trainer) -> dict[str, str]:
    choices = HydraConfig.get().runtime.choices
    hint = "  (DIV2K instead: data=div2k)" if data.source.name == "sample" else ""
    parameters = sum(parameter.numel() for parameter in module.net.parameters())
    size = f"{parameters:,} parameters, x{scale_of(module.net)}"
    return {
        "data": f"{data.source.name}: {data.source.describe()}{hint}",
        "net": f"{choices['model']}: {size}, lr made by {choices['degradation']}",
        "device": f"{trainer.world_size} x {_device_name(trainer)}, precision {trainer.precision}, seed {config.seed}",
        "run": short(Path(config.run_dir)),
    }


def _report(run_dir: Path) -> None:
    finished = Run.read(run_dir)
    best = finished.results["best_epoch"] if finished.results else 0
    title = f"Held-out photographs, protocol modern, weights of epoch {best}"
    CONSOLE.print(score_table(title, finished.means()))
    places = {"picture": run_dir / COMPARISON, "results": run_dir / METRICS_JSON, "curves": run_dir / "tensorboard"}
    kept = {label: short(path) for label, path in places.items() if path.exists()}  # callbacks and loggers may be off
    say({label: f"tensorboard --logdir {path}" if label == "curves" else path for label, path in kept.items()})
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        say({"next": "python -m zoomsr.train -m model=bicubic,srcnn,vdsr,unet compares the nets"})


def _device_name(trainer: Trainer) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)"
