"""The pretrained nets beside published ones: ``python -m experiments.pretrained.collect RUN... --sets FOLDER``.

Only nets whose weights have changed need to be in a RUN: the rows of the others are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from experiments import tables
from experiments.report import Value, machine, write_facts, write_rows
from zoomsr.cli.console import say
from zoomsr.cli.errors import one_line_errors
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.crops import comparison_row, crop_at, upscaled
from zoomsr.figures import PublishedNet, comparison, published
from zoomsr.imaging.degradations import Bicubic as BicubicDown
from zoomsr.imaging.pixels import to_float
from zoomsr.models.complexity import costs_of
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import WEIGHTS_DIR, pretrained_nets
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.crops import Crop

HERE = Path(__file__).parent
CPU = torch.device("cpu")
SETS = ("Set5", "Set14", "B100")
NETS = ("bicubic", "srcnn", "vdsr", "ircnn", "unet")
METRICS = ("psnr_y", "ssim_y", "psnr_rgb", "mae")
COSTS = ("params", "gmacs", "latency_ms", "machine")
CROPS = {
    "a lattice": ("Set5", "img_005", (30, 4, 128, 128)),
    "lettering": ("Set14", "img_013", (26, 210, 128, 128)),
    "a fruit's skin": ("Set14", "img_012", (264, 180, 128, 128)),
    "a butterfly's wing": ("Set5", "img_003", (90, 40, 128, 128)),
}
"""What the README shows at x2: set, picture, and left, top, width, height in its pixels."""
PUBLISHED = ("net", "protocol", "trained_on", "params", "gmacs", "set5", "set14", "b100", "urban100", "article")
SIMILAR = 5
"""Published nets of at most so many times the U-Net's multiply-adds, and at least that part, stand in its tables."""

Row = dict[str, Value]


@dataclass(frozen=True)
class PretrainedNet:
    """A net of the package: ``unet`` at x2, ``unet_x3``, ``unet_x4``.

    Attributes:
        file: its weights.
        card: beside them.
    """

    file: Path
    card: Card

    @property
    def key(self) -> tuple[str, str]:
        """Scale and name, which the tables show apart."""
        return str(self.card.scale), self.file.stem.removesuffix(f"_x{self.card.scale}")

    def build(self) -> nn.Module:
        """The net, for evaluation."""
        return Weights.read(self.file).build().eval()

    def trained_on(self) -> str:
        """``275 of the 291``, ``240 free photographs``, with what the weights at its start had seen before."""
        data = self.card.data
        names = {"train291": "of the 291", "photos": "photographs"}
        name = names.get(data["name"], f"of {data['name']}")
        trained = [one for one in data.get("photographs", []) if one["split"] == "train"]
        free = "free " if trained and all(one["file"].startswith("free/") for one in trained) else ""
        own = f"of {data['name']}"
        before = dict.fromkeys(one for one in data.get("started_from", []) if not one.endswith(own))
        after = f", after {', '.join(before)}".replace("of train291", "of the 291") if before else ""
        return f"{data['n_train']} {free}{name}{after}"


def main(
    sets: Annotated[Path, typer.Option(help="folder with the folders Set5 and Set14, for the crops")],
    runs: Annotated[list[Path] | None, typer.Argument(help="evaluations of pretrained nets, of any scale")] = None,
) -> None:
    """Write results.csv, comparison.csv, facts.csv and the figures, and bring both READMEs up to date."""
    with one_line_errors():
        nets = {one.key: one for one in packaged()}
        articles = tables.rows(HERE / "published.csv")
        measured = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in runs or []]
        old = tables.rows(HERE / "results.csv")
        found = kept(old, nets)
        for one in measured:
            found |= {row_key(row): row for row in rows(one, nets)}
        results = sorted(found.values(), key=place)
        require_whole(results, nets)
        add_costs(results, nets, old)
        for row in results:
            row["article_psnr_y"] = article(row, articles)
        write_rows(HERE / "results.csv", results)
        write_rows(HERE / "comparison.csv", list(beside(results, articles, nets)))
        photographs = {f"{one.file.stem}, photographs": one.trained_on() for one in nets.values()}
        sizes = {f"{one.file.stem}, MB": one.file.stat().st_size / 1e6 for one in nets.values()}
        write_facts(HERE / "facts.csv", {**photographs, **sizes, "all, MB": sum(sizes.values())})
        draw(results, articles, nets, list(crops(sets)))
        for readme in (HERE / "README.md", tables.ROOT / "README.md"):
            tables.write(readme)


def packaged() -> Iterator[PretrainedNet]:
    """The nets of the package."""
    for name in pretrained_nets():
        file = WEIGHTS_DIR / f"{name}.safetensors"
        if (card := Card.beside(file)) is None:
            raise ValueError(f"{file} has no card beside it")
        yield PretrainedNet(file, card)


def kept(old: Sequence[Mapping[str, str]], nets: Mapping[tuple[str, str], PretrainedNet]) -> dict[Any, Row]:
    """The rows of earlier measurements of bicubic and of weights that are still those of the package, by key."""
    now = {key: net.card.sha256[:12] for key, net in nets.items()}
    columns = ("scale", "set", "protocol", "net", "weights", *METRICS)
    return {
        row_key(row): {name: row[name] for name in columns}
        for row in old
        if row["net"] == "bicubic" or row["weights"] == now.get((row["scale"], row["net"]))
    }


def row_key(row: Mapping[str, Value]) -> tuple[str, ...]:
    """What tells rows apart."""
    return tuple(str(row[name]) for name in ("scale", "set", "protocol", "net"))


def place(row: Mapping[str, Value]) -> tuple[int, ...]:
    """The order of the rows: by scale, set, net, and modern first."""
    return (
        int(str(row["scale"])),
        SETS.index(str(row["set"])),
        [*NETS, row["net"]].index(row["net"]),
        ("modern", "classic").index(str(row["protocol"])),
    )


def rows(run: Mapping[str, Any], nets: Mapping[tuple[str, str], PretrainedNet]) -> Iterator[Row]:
    """A row for each published set, net and protocol of an evaluation.

    Raises:
        ValueError: a folder that is not the published set, or weights that are not those of the package.
    """
    scale = str(run["scale"])
    for name, by_net in run["sets"].items():
        verdict = run["data"]["recognised"][name]
        if name not in SETS or not verdict.startswith(f"{name}, complete"):
            raise ValueError(f"the run at x{scale} has measured {name}: {verdict}; wanted are {', '.join(SETS)}")
        for label, protocols in by_net.items():
            net, digest = label.removesuffix(f"_x{scale}"), ""
            if label != "bicubic":
                known = nets.get((scale, net))
                if known is None or run["nets"][label]["weights"]["sha256"] != known.card.sha256:
                    raise ValueError(f"the run at x{scale} has measured other weights than the pretrained {label}")
                digest = known.card.sha256[:12]
            for protocol, scores in protocols.items():
                means = {metric: scores["mean"][metric] for metric in METRICS}
                yield {"scale": scale, "set": name, "protocol": protocol, "net": net, "weights": digest, **means}


def require_whole(results: Sequence[Row], nets: Mapping[tuple[str, str], PretrainedNet]) -> None:
    """Check that every net of the package is measured on Set5 and Set14, and say where B100 is missing.

    Raises:
        ValueError: one is not; the message names the command that measures it.
    """
    measured = {(str(row["scale"]), str(row["net"]), str(row["set"])) for row in results}
    for (scale, net), one in nets.items():
        missing = [name for name in SETS if (scale, net, name) not in measured]
        command = f"python -m zoomsr.evaluate data_dir=[{','.join(missing)}] scale={scale} ckpt=[{one.file.stem}]"
        if missing == ["B100"]:
            say({"missing": command})
        elif missing:
            raise ValueError(f"{one.file.stem} has not been measured since its weights changed: {command}")


def article(row: Row, articles: Sequence[Mapping[str, str]]) -> Value:
    """The published PSNR of the same net, scale and set; under ``classic``, which these articles follow."""
    column = {"Set5": "set5", "Set14": "set14", "B100": "b100"}[str(row["set"])]
    for one in articles:
        if (one["net"].lower(), one["scale"]) == (row["net"], row["scale"]) and row["protocol"] == "classic":
            return one[column] or None
    return None


def add_costs(
    results: Sequence[Row], nets: Mapping[tuple[str, str], PretrainedNet], old: Sequence[Mapping[str, str]]
) -> None:
    """What each net costs: as measured before where it has as many parameters as then, else measured here."""
    for key, net in nets.items():
        same = (row for row in old if (row["scale"], row["net"], row["params"]) == (*key, str(net.card.params)))
        known: Mapping[str, Value] | None = next(same, None)
        if known is None:
            say({"measuring": f"the costs of {net.file.stem}"})
            built = net.build().to(memory_format=torch.channels_last)
            cost = costs_of(built, scale=net.card.scale, device=CPU, repeats=3)
            known = {
                "params": cost.params,
                "gmacs": cost.macs / 1e9,
                "latency_ms": cost.latency_ms,
                "machine": machine(),
            }
        for row in results:
            row.update({name: known[name] for name in COSTS} if (row["scale"], row["net"]) == key else {})


def beside(
    results: Sequence[Row], articles: Sequence[Mapping[str, str]], nets: Mapping[tuple[str, str], PretrainedNet]
) -> Iterator[Row]:
    """Bicubic, the U-Net under both protocols and the published nets of similar cost, by scale and multiply-adds."""
    (at_x2,) = {float(str(row["gmacs"])) for row in results if (row["scale"], row["net"]) == ("2", "unet")}
    for scale in ("2", "3", "4"):
        found: list[Row] = []
        for net, protocol in (("bicubic", "modern"), ("unet", "classic"), ("unet", "modern")):
            mine = [row for row in results if (row["scale"], row["net"], row["protocol"]) == (scale, net, protocol)]
            if mine:
                trained_on = nets[scale, net].trained_on() if net != "bicubic" else None
                costs = {name: mine[0].get(name) for name in ("params", "gmacs")}
                psnr = {str(row["set"]).lower(): row["psnr_y"] for row in mine}
                found.append({"net": net, "protocol": protocol, "trained_on": trained_on, **costs, **psnr})
        near = at_x2 * 4 / int(scale) ** 2
        for one in articles:
            if one["scale"] == scale and one["gmacs"] and near / SIMILAR < float(one["gmacs"]) < near * SIMILAR:
                found.append({name: one[name] for name in PUBLISHED})
        found.sort(key=lambda row: float(str(row["gmacs"] or 0)))
        yield from ({"scale": f"x{scale}", **row} for row in found)


def crops(sets: Path) -> Iterator[Crop]:
    """What the README shows, lr made by bicubic."""
    for title, (name, picture, box) in CROPS.items():
        benchmark = Benchmark.find(sets / name, scale=2)
        hr = benchmark.read([path.stem for path, _ in benchmark.files].index(picture)).hr
        yield crop_at(title, box, lr=to_float(BicubicDown(2).down(hr))[None], hr=to_float(hr)[None])


def draw(
    results: Sequence[Row],
    articles: Sequence[Mapping[str, str]],
    nets: Mapping[tuple[str, str], PretrainedNet],
    shown: list[Crop],
) -> None:
    """The figures of the READMEs."""
    folder = HERE / "figures"
    folder.mkdir(exist_ok=True)
    built = {name: nets["2", name].build() for name in NETS if ("2", name) in nets}
    for file, chosen in (("zooms", ("unet",)), ("all_nets", tuple(built))):
        figure = comparison(
            [comparison_row(crop, {net: upscaled(built[net], crop, device=CPU) for net in chosen}) for crop in shown]
        )
        figure.savefig(folder / f"{file}.webp", dpi=110, pil_kwargs={"quality": 90})
    (ours,) = (row for row in results if row_key(row) == ("2", "Set14", "modern", "unet"))
    trained = nets["2", "unet"].trained_on()
    points = {"unet": PublishedNet(float(str(ours["psnr_y"])), float(str(ours["gmacs"])), trained, ours=True)}
    points |= {
        one["net"]: PublishedNet(float(one["set14"]), float(one["gmacs"]), one["trained_on"])
        for one in articles
        if one["scale"] == "2" and one["gmacs"]
    }
    published(points, of="Set14, x2").savefig(folder / "published.png", dpi=110)


if __name__ == "__main__":
    typer.run(main)
