"""The recipe of one evaluation, from a config to tables, JSON and CSV."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from torch import nn

from zoomsr.cli.config import instantiate, plain
from zoomsr.cli.console import CONSOLE, band_table, progress_bar, say, score_table
from zoomsr.engines.accelerated import Accelerated, accelerated
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.evaluator import Scores, evaluate
from zoomsr.evaluation.recognition import known_sets, recognised
from zoomsr.hardware.devices import DeviceUse, device_named
from zoomsr.imaging.degradations import Bicubic as BicubicDown
from zoomsr.imaging.degradations import Degradation
from zoomsr.metrics.protocol import PROTOCOLS
from zoomsr.metrics.quality import METRICS, mean_score
from zoomsr.models import scale_of
from zoomsr.models.back_projection import BackProjection
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.self_ensemble import SelfEnsemble
from zoomsr.pretrained.weights import Weights, pretrained_nets, weights_file
from zoomsr.runs.files import sha256_of, short, write_json, write_text
from zoomsr.runs.layout import IMAGES_CSV, METRICS_JSON, run_of
from zoomsr.runs.run import versions


def run(config: DictConfig) -> None:
    """Measure the nets on the folders, print a table per folder and protocol, write ``metrics.json`` and a CSV.

    Raises:
        ValueError: a setting is wrong, a folder is no benchmark, or a file holds no weights of the net.
    """
    if not isinstance(config.scale, int) or config.scale < 1:
        raise ValueError(f"scale={config.scale} must be a whole number from 1")
    device = device_named(config.device)
    use = DeviceUse(device)
    degradation: Degradation = instantiate(config.degradation)
    if degradation.scale != config.scale:
        raise ValueError(f"degradation={_choice('degradation')} shrinks by {degradation.scale}, not by {config.scale}")
    known = known_sets(_as_list(config.known_sets))
    benchmarks = _benchmarks(config, degradation)
    nets = {label: one.run_by(config.engine, device) for label, one in _nets(config).items()}
    if config.self_ensemble:
        nets = {label: one._replace(net=SelfEnsemble(one.net)) for label, one in nets.items()}
    if steps := config.back_projection:
        nets = {label: one._replace(net=BackProjection(one.net, steps=steps)) for label, one in nets.items()}
    verdicts = {name: recognised(benchmark, known) for name, benchmark in benchmarks.items()}
    for name, verdict in verdicts.items():
        say({"test set": f"{name}: {verdict}"})
    scores: dict[str, Scores] = {}
    with progress_bar() as progress:
        task = progress.add_task("images", total=len(nets) * sum(len(one.files) for one in benchmarks.values()))
        for name, benchmark in benchmarks.items():
            scores[name] = evaluate(
                {label: one.net.to(device).eval() for label, one in nets.items()},
                benchmark,
                degradation=degradation,
                device=device,
                advance=lambda: progress.advance(task),
            )
    run_dir = Path(config.run_dir)
    write_json(run_dir / METRICS_JSON, _summary(config, nets, benchmarks, verdicts, scores, degradation, use.as_dict()))
    _write_images(run_dir / IMAGES_CSV, scores)
    for one in nets.values():
        for line in () if one.engine is None else one.engine.said():
            say({"engine": line})
    _print(scores, nets)
    say({"results": short(run_dir / METRICS_JSON), "pictures": short(run_dir / IMAGES_CSV)})


class EvaluatedNet(NamedTuple):
    """A net, its settings, the file of its weights, and the engine that runs it where that is not torch alone."""

    net: nn.Module
    config: dict[str, Any]
    weights: Weights | None
    engine: Accelerated | None = None

    def run_by(self, engine: str, device: torch.device) -> EvaluatedNet:
        """With another engine than torch, where one is asked for and available, from the first image on."""
        weights = None if self.weights is None else replace(self.weights, config=self.config)
        net = accelerated(self.net, weights, engine=engine, device=device)
        if not isinstance(net, Accelerated):
            return self
        net.start()
        return self._replace(net=net, engine=net)

    def as_dict(self) -> dict[str, Any]:
        """For ``metrics.json``."""
        path = None if self.weights is None else self.weights.path
        return {
            "params": sum(parameter.numel() for parameter in self.net.parameters()),
            "config": self.config,
            "weights": None if path is None else {"path": str(path), "sha256": sha256_of(path)},
            "engine": "torch" if self.engine is None else self.engine.engine,
        }


def _benchmarks(config: DictConfig, degradation: Degradation) -> dict[str, Benchmark]:
    """Folders by name, those of the same name with their parent's."""
    paths = [Path(folder) for folder in _as_list(config.data_dir)]
    labels = [path.name for path in paths]
    if len(set(labels)) < len(labels):
        labels = ["/".join(path.resolve().parts[-2:]) for path in paths]
    if len(set(labels)) < len(labels):
        raise ValueError(f"data_dir holds folders that cannot be told apart: {', '.join(labels)}")
    # Published lr is MATLAB's bicubic: another degradation makes its own.
    published = repr(degradation) == repr(BicubicDown(config.scale))
    found = (Benchmark.find(path, scale=config.scale, published_lr=published) for path in paths)
    return dict(zip(labels, found, strict=True))


def _nets(config: DictConfig) -> dict[str, EvaluatedNet]:
    """Bicubic, then the nets of ``ckpt``, or the pretrained net that ``model`` names; pretrained ones of the scale."""
    nets = {"bicubic": EvaluatedNet(Bicubic(config.scale), {}, None)}
    name = _choice("model")
    given = _as_list(config.ckpt)
    if not given and name not in (None, "bicubic"):
        changed = [one for one in HydraConfig.get().overrides.task if one.lstrip("+~").startswith("model.")]
        if changed:
            raise ValueError(f"{changed[0]} makes another net than the pretrained {name}: add ckpt=FILE")
        if (path := weights_file(str(name), config.scale)) is not None:
            nets[path.stem] = _opened(path, None, config.scale)
    for one in given:
        path = weights_file(one, config.scale)
        if path is None:
            continue  # bicubic is there already
        measured = _opened(path, config.get("model"), config.scale)
        label = name or type(measured.net).__name__.lower()
        if one in pretrained_nets():
            label = path.stem  # unet_x3, for unet at scale 3
        elif len(given) > 1:
            place = path.resolve()  # runs/NAME/checkpoints/best.ckpt is NAME/best
            label = f"{label} {(run_of(place) or place.parent).name}/{place.stem}"
        if label in nets:
            raise ValueError(f"ckpt={','.join(given)} holds {label} twice at scale={config.scale}")
        nets[label] = measured
    return nets


def _opened(path: Path, model: DictConfig | None, scale: int) -> EvaluatedNet:
    """Weights in the net that ``model`` describes, or in the one that the file names."""
    weights = Weights.read(path)
    if model is None:
        net, made = weights.build(), weights.own_config()  # never by Hydra, which would run what a file names
    else:
        made = plain(model)
        weights.require(made)
        net = instantiate(model)
    if scale_of(net) != scale:
        raise ValueError(f"{path} upscales by {scale_of(net)}, not by scale={scale}")
    if model is not None:
        weights.load_into(net)
    return EvaluatedNet(net, made, weights)


def _choice(group: str) -> str | None:
    choice: str | None = HydraConfig.get().runtime.choices.get(group)
    return choice


def _summary(
    config: DictConfig,
    nets: dict[str, EvaluatedNet],
    benchmarks: dict[str, Benchmark],
    verdicts: dict[str, str],
    scores: dict[str, Scores],
    degradation: Degradation,
    device: dict[str, Any],
) -> dict[str, Any]:
    """The content of ``metrics.json``, as of a run's, with an entry per folder, net and protocol."""
    digests = {name: benchmark.digest() for name, benchmark in benchmarks.items()}
    sets: dict[str, Any] = {}
    for folder, by_net in scores.items():
        for net, by_protocol in by_net.items():
            sets.setdefault(folder, {})[net] = {
                protocol: {
                    "mean": mean_score(list(images.values())).as_dict(),
                    "images": {image: score.as_dict() for image, score in images.items()},
                }
                for protocol, images in by_protocol.items()
            }
    described = {label: one.as_dict() for label, one in nets.items()}
    last = list(described)[-1]
    return {
        "protocols": {protocol.name: asdict(protocol) for protocol in PROTOCOLS},
        "data": {
            "name": ", ".join(digests),
            "hash": hashlib.sha256("".join(digests.values()).encode()).hexdigest(),
            "n_train": 0,
            "n_val": sum(len(benchmark.files) for benchmark in benchmarks.values()),
            "recognised": verdicts,
            "lr_from_files": {name: benchmark.has_lr for name, benchmark in benchmarks.items()},
        },
        "net": {"name": last, **described[last]},
        "nets": described,
        "degradation": repr(degradation),
        "scale": config.scale,
        "self_ensemble": config.self_ensemble,
        "back_projection": config.back_projection,
        "device": device,
        "sets": sets,
        "versions": versions(),
    }


def _write_images(path: Path, scores: dict[str, Scores]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "net", "protocol", "image", *METRICS])
    for folder, by_net in scores.items():
        for net, by_protocol in by_net.items():
            for protocol, images in by_protocol.items():
                rows = ([folder, net, protocol, image, *one.as_dict().values()] for image, one in images.items())
                writer.writerows(rows)
    write_text(path, text.getvalue())


def _print(scores: dict[str, Scores], nets: dict[str, EvaluatedNet]) -> None:
    for folder, by_net in scores.items():
        for protocol in PROTOCOLS:
            rows = {}
            for net, by_protocol in by_net.items():
                eight_bit = getattr(nets[net].net, "lr_8bit", False) and not protocol.lr_8bit
                label = f"{net} (8-bit lr)" if eight_bit else net
                rows[label] = mean_score(list(by_protocol[protocol.name].values())).as_dict()
            CONSOLE.print(score_table(f"{folder}, protocol {protocol.name}", rows))
        title = f"{folder}, protocol {protocol.name}, error over ground truth (dB) by frequency"
        CONSOLE.print(band_table(title, rows))


def _as_list(value: Any) -> list[str]:
    """One or several: FILE, [FILE,FILE], or nothing."""
    if value is None:
        return []
    return [str(item) for item in value] if OmegaConf.is_list(value) else [str(value)]
