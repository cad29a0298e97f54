"""The recipe of one evaluation, from a config to tables, JSON and CSV."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from torch import nn

from zoomsr.config import instantiate, plain
from zoomsr.data.benchmarks import Benchmark
from zoomsr.metrics import METRICS, PROTOCOLS, mean_score
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.self_ensemble import SelfEnsemble
from zoomsr.module import scale_of
from zoomsr.runs import METRICS_JSON, versions, write_json
from zoomsr.scoring import Scores, evaluate
from zoomsr.screen import CONSOLE, band_table, progress_bar, say, score_table, short
from zoomsr.weights import Weights

IMAGES_CSV = "images.csv"


def run(config: DictConfig) -> None:
    """Measure the nets on the folders, print a table per folder and protocol, write ``metrics.json`` and a CSV."""
    device = _device(config.device)
    benchmarks = [Benchmark.find(Path(folder), scale=config.scale) for folder in _as_list(config.data_dir)]
    nets = {name: net.to(device).eval() for name, net in _nets(config).items()}
    degradation = instantiate(config.degradation)
    scores: dict[str, Scores] = {}
    with progress_bar() as progress:
        task = progress.add_task("pictures", total=len(nets) * sum(len(one.files) for one in benchmarks))
        for benchmark in benchmarks:
            scores[benchmark.name] = evaluate(
                nets, benchmark, degradation=degradation, device=device, advance=lambda: progress.advance(task)
            )
    run_dir = Path(config.run_dir)
    write_json(run_dir / METRICS_JSON, _summary(config, nets, benchmarks, scores))
    _write_images(run_dir / IMAGES_CSV, scores)
    _print(scores, nets)
    say({"results": short(run_dir / METRICS_JSON), "pictures": short(run_dir / IMAGES_CSV)})


def _nets(config: DictConfig) -> dict[str, nn.Module]:
    """Bicubic, then the configured net or the nets of the checkpoints."""
    nets: dict[str, nn.Module] = {"bicubic": Bicubic(config.scale)}
    given = config.get("model")
    name = HydraConfig.get().runtime.choices.get("model")
    paths = [Path(path) for path in _as_list(config.ckpt)]
    if not paths and name not in (None, "bicubic"):
        raise ValueError(f"model={name} needs its weights: ckpt=FILE")
    for path in paths:
        weights = Weights.read(path)
        net = instantiate(given if given is not None else OmegaConf.create(weights.own_config()))
        if scale_of(net) != config.scale:
            raise ValueError(f"{path} enlarges by {scale_of(net)}, not by scale={config.scale}")
        weights.load_into(net)
        label = name or type(net).__name__.lower()
        label = label if label not in nets else f"{label} {path.parent.parent.name}/{path.stem}"
        nets[label] = net
    return {name: SelfEnsemble(net) for name, net in nets.items()} if config.self_ensemble else nets


def _summary(
    config: DictConfig, nets: dict[str, nn.Module], benchmarks: list[Benchmark], scores: dict[str, Scores]
) -> dict[str, Any]:
    """The shape that a run's metrics.json has, with one entry per folder, net and protocol."""
    digests = {benchmark.name: benchmark.digest() for benchmark in benchmarks}
    *_, (name, net) = nets.items()
    return {
        "protocols": {protocol.name: asdict(protocol) for protocol in PROTOCOLS},
        "data": {
            "name": ", ".join(digests),
            "hash": hashlib.sha256("".join(digests.values()).encode()).hexdigest(),
            "n_train": 0,
            "n_val": sum(len(benchmark.files) for benchmark in benchmarks),
        },
        "net": {
            "name": name,
            "params": sum(parameter.numel() for parameter in net.parameters()),
            "config": plain(config.model) if "model" in config else {},
        },
        "degradation": plain(config.degradation),
        "checkpoints": _as_list(config.ckpt),
        "self_ensemble": config.self_ensemble,
        "sets": {
            folder: {
                net: {
                    protocol: {
                        "mean": mean_score(list(images.values())).as_dict(),
                        "images": {image: score.as_dict() for image, score in images.items()},
                    }
                    for protocol, images in by_protocol.items()
                }
                for net, by_protocol in by_net.items()
            }
            for folder, by_net in scores.items()
        },
        "versions": versions(),
    }


def _write_images(path: Path, scores: dict[str, Scores]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["set", "net", "protocol", "image", *METRICS])
        for folder, by_net in scores.items():
            for net, by_protocol in by_net.items():
                for protocol, images in by_protocol.items():
                    for image, score in images.items():
                        writer.writerow([folder, net, protocol, image, *score.as_dict().values()])


def _print(scores: dict[str, Scores], nets: dict[str, nn.Module]) -> None:
    for folder, by_net in scores.items():
        for protocol in PROTOCOLS:
            rows = {}
            for net, by_protocol in by_net.items():
                eight_bit = getattr(nets[net], "lr_8bit", False) and not protocol.lr_8bit
                label = f"{net} (8-bit lr)" if eight_bit else net
                rows[label] = mean_score(list(by_protocol[protocol.name].values())).as_dict()
            CONSOLE.print(score_table(f"{folder}, protocol {protocol.name}", rows))
        CONSOLE.print(band_table(f"{folder}, protocol {protocol.name}, error over truth (dB) by frequency", rows))


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={name} cannot be used here: {str(error).splitlines()[0]}") from None


def _as_list(value: Any) -> list[str]:
    """One or several: FILE, [FILE,FILE], or nothing."""
    if value is None:
        return []
    return [str(item) for item in value] if OmegaConf.is_list(value) else [str(value)]
