"""The recipe of one evaluation, from a config to tables, JSON and CSV."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Container, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig
from torch import nn

from zoomsr.cli.config import instantiate, plain
from zoomsr.cli.console import CONSOLE, band_table, say, score_table
from zoomsr.cli.progress import progress_bar
from zoomsr.engines import TORCH
from zoomsr.engines.accelerated import Accelerated, accelerated
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.evaluator import Scores, evaluate
from zoomsr.evaluation.kept_scores import KeptScores, device_facts, is_ours
from zoomsr.evaluation.recognition import known_sets, recognised
from zoomsr.evaluation.request import SPANDREL, Request, as_list, choice
from zoomsr.foreign.net import ForeignNet
from zoomsr.foreign.opening import open_net
from zoomsr.hardware.devices import DeviceUse, device_named
from zoomsr.imaging.degradations import Bicubic as BicubicDown
from zoomsr.imaging.degradations import Degradation, jpeg_quality
from zoomsr.metrics.protocol import MODERN, PROTOCOLS
from zoomsr.metrics.quality import METRICS, mean_score
from zoomsr.models import at_quality, n_parameters, scale_of, takes_quality
from zoomsr.models.back_projection import BackProjection
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.self_ensemble import SelfEnsemble
from zoomsr.pretrained.names import ONNX_SUFFIX, is_address, pretrained_nets
from zoomsr.pretrained.own_nets import accepted
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import sha256_of, short, write_json, write_text
from zoomsr.runs.layout import IMAGES_CSV, METRICS_JSON, run_of
from zoomsr.runs.run import versions


def run(config: DictConfig, request: Request) -> None:
    """Measure the nets on the folders, print a table per folder and protocol, write ``metrics.json`` and a CSV.

    Args:
        config: the command's settings.
        request: what they ask for.

    Raises:
        ValueError: a setting is wrong, a folder is no benchmark, or a file holds no weights of the net.
    """
    use = DeviceUse(device := device_named(config.device))
    degradation: Degradation = instantiate(config.degradation)
    if degradation.scale != config.scale:
        raise ValueError(f"degradation={choice('degradation')} shrinks by {degradation.scale}, not by {config.scale}")
    benchmarks = _benchmarks(request, degradation)
    nets = {label: one.told(config, degradation) for label, one in _nets(config, request).items()}
    nets = {label: one.run_by(config.engine, device) for label, one in nets.items()}
    if config.self_ensemble:
        nets = {label: one._replace(net=SelfEnsemble(one.net)) for label, one in nets.items()}
    if steps := config.back_projection:
        nets = {label: one._replace(net=BackProjection(one.net, steps=steps)) for label, one in nets.items()}
    known = known_sets(as_list(config.known_sets))
    verdicts = {name: recognised(benchmark, known) for name, benchmark in benchmarks.items()}
    for name, verdict in verdicts.items():
        say({"test set": f"{name}: {verdict}"})
    scores: dict[str, Scores] = {}
    kept = {label: one.kept(config, device) for label, one in nets.items() if config.reuse and one.is_kept(config)}
    total = len(nets) * sum(len(one.files) for one in benchmarks.values())
    reused = _n_kept(kept, benchmarks)
    if reused:
        say({"reused": f"{reused:,} of {total:,} scores were measured before; reuse=false measures all anew"})
    with progress_bar() as progress:
        task = progress.add_task("images", total=total - reused)
        for name, benchmark in benchmarks.items():
            scores[name] = evaluate(
                {label: one.net.to(device).eval() for label, one in nets.items()},
                benchmark,
                degradation=degradation,
                device=device,
                advance=lambda: progress.advance(task),
                kept=kept,
            )
    run_dir, used = Path(config.run_dir), use.as_dict()
    write_json(run_dir / METRICS_JSON, _summary(config, nets, benchmarks, verdicts, scores, degradation, used))
    _write_images(run_dir / IMAGES_CSV, scores)
    for one in nets.values():
        for line in () if one.engine is None else one.engine.said():
            say({"engine": line})
    _print(scores, nets)
    say({"results": short(run_dir / METRICS_JSON), "images": short(run_dir / IMAGES_CSV)})


class EvaluatedNet(NamedTuple):
    """A net, its settings, the file of its weights, and the engine that runs it where that is not torch alone.

    A net of another project has neither settings nor weights of ours; it stays in ``foreign``, whatever runs around it.
    """

    net: nn.Module
    config: dict[str, Any]
    weights: Weights | None
    engine: Accelerated | None = None
    foreign: ForeignNet | None = None

    def told(self, config: DictConfig, degradation: Degradation) -> EvaluatedNet:
        """The net for the degradation's JPEG quality; one that differs by picture is told by ``evaluate`` itself.

        Raises:
            ValueError: it differs by picture, and something is to run around the net.
        """
        if not takes_quality(self.net):
            return self
        if degradation.stochastic:
            if config.self_ensemble or config.back_projection or config.engine != TORCH:
                wanted = "self_ensemble, back_projection and engine"
                raise ValueError(f"{wanted} do not go with a net that is told a JPEG quality and {degradation!r}")
            return self
        net = at_quality(self.net, jpeg_quality(degradation))
        weights = None if self.weights is None else replace(self.weights, tensors=net.state_dict())
        return self._replace(net=net, weights=weights)

    def run_by(self, engine: str, device: torch.device) -> EvaluatedNet:
        """With another engine than torch, where one is asked for and available, from the first image on."""
        if self.foreign is not None:
            self.foreign.require_engine(engine)
            return self
        weights = None if self.weights is None else replace(self.weights, config=self.config)
        net = accelerated(self.net, weights, engine=engine, device=device)
        if not isinstance(net, Accelerated):
            return self
        net.start()
        return self._replace(net=net, engine=net)

    def is_kept(self, config: DictConfig) -> bool:
        """Whether all that its scores follow from is known: no engine but torch, and no code but ours."""
        return (
            self.engine is None and self.foreign is None and is_ours(self.config) and is_ours(plain(config.degradation))
        )

    def kept(self, config: DictConfig, device: torch.device) -> KeptScores:
        """What was measured before of the same net, under the same settings."""
        weights = None if self.weights is None else [self.weights.digest, *self.weights.tensors]  # loaded in this order
        settings = {key: config[key] for key in ("scale", "self_ensemble", "back_projection")}
        degradation = plain(config.degradation)
        return KeptScores(
            {
                **settings,
                "net": self.config,
                "weights": weights,
                "degradation": degradation,
                "device": device_facts(device),
            }
        )

    def as_dict(self) -> dict[str, Any]:
        """For ``metrics.json``."""
        facts = None if self.foreign is None else self.foreign.facts
        path = facts.path if facts is not None else None if self.weights is None else self.weights.path
        engine = facts.engine if facts is not None else "torch" if self.engine is None else self.engine.engine
        about = {} if facts is None else {"kind": facts.kind, "trained_on": facts.trained_on or "not stated"}
        return {
            "params": n_parameters(self.net),
            "config": self.config,
            "weights": None if path is None else {"path": str(path), "sha256": sha256_of(path)},
            "engine": engine,
            **about,
        }


def _n_kept(kept: Mapping[str, KeptScores], benchmarks: Mapping[str, Benchmark]) -> int:
    """How many scores need not be measured."""
    digests = [one.digest_of(number) for one in benchmarks.values() for number in range(len(one.files))] if kept else []
    return sum(digest in scores for scores in kept.values() for digest in digests)


def _benchmarks(request: Request, degradation: Degradation) -> dict[str, Benchmark]:
    # Published lr is MATLAB's bicubic: another degradation makes its own.
    scale, published = degradation.scale, repr(degradation) == repr(BicubicDown(degradation.scale))
    return {
        name: Benchmark.find(folder, scale=scale, published_lr=published) for name, folder in request.folders.items()
    }


def _nets(config: DictConfig, request: Request) -> dict[str, EvaluatedNet]:
    """Bicubic, then the nets of ``ckpt``, or the pretrained net that ``model`` names; pretrained ones of the scale."""
    nets = {"bicubic": EvaluatedNet(Bicubic(config.scale), {}, None)}
    given = as_list(config.ckpt)
    if request.pretrained is not None:
        nets[request.pretrained.stem] = _opened(request.pretrained, None, config.scale)
    own = accepted(given, nets=as_list(config.nets), trust=config.trust)
    for one, path in request.files:
        measured = _opened(path, None if choice("model") == SPANDREL else config.get("model"), config.scale, own)
        label = choice("model") or type(measured.net).__name__.lower()
        if one in pretrained_nets() or is_address(one):
            label = path.stem  # unet_x3, for unet at scale 3
        elif measured.foreign is not None:
            label = path.stem if path.stem not in nets else f"{path.resolve().parent.name}/{path.stem}"
        elif len(given) > 1:
            place = path.resolve()  # runs/NAME/checkpoints/best.ckpt is NAME/best
            label = f"{label} {(run_of(place) or place.parent).name}/{place.stem}"
        if label in nets:
            raise ValueError(f"ckpt={','.join(given)} holds {label} twice at scale={config.scale}")
        nets[label] = measured
        for line in () if measured.foreign is None else measured.foreign.about(tiles=False):
            say({"net": line})
    return nets


def _opened(path: Path, model: DictConfig | None, scale: int, own: Container[str] = ()) -> EvaluatedNet:
    """Weights in the net that ``model`` describes, or in the one that the file names, of classes in ``own`` too."""
    if model is None or path.suffix == ONNX_SUFFIX:
        net, weights = open_net(path, own)
        made = {} if weights is None else weights.own_config()
    else:
        weights, made = Weights.read(path, own), plain(model)
        weights.require(made)
        net = instantiate(model)
    own_scale = net.scale if isinstance(net, ForeignNet) else scale_of(net)
    if own_scale != scale:
        raise ValueError(f"{path} upscales by {own_scale}, not by scale={scale}")
    if model is not None and weights is not None:
        weights.load_into(net)
    return EvaluatedNet(net, made, weights, foreign=net if isinstance(net, ForeignNet) else None)


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
            rows, title = {}, f"{folder}, protocol {protocol.name}"
            for net, by_protocol in by_net.items():
                eight_bit = getattr(nets[net].net, "lr_8bit", False) and not protocol.lr_8bit
                label = f"{net} (8-bit lr)" if eight_bit else net
                rows[label] = mean_score(list(by_protocol[protocol.name].values())).as_dict()
            CONSOLE.print(score_table(title, rows))
            if protocol is MODERN:
                CONSOLE.print(band_table(f"{title}, error over ground truth (dB) by frequency", rows))
