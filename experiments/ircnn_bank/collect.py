"""From the runs of ``experiment=ircnn_bank`` to the one file that ``model=ircnn`` opens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from hydra import compose, initialize_config_dir

from zoomsr.cli.config import CONF_DIR, plain
from zoomsr.cli.console import say
from zoomsr.cli.errors import one_line_errors
from zoomsr.imaging.degradations import Bicubic
from zoomsr.inference.release import Origin, ship
from zoomsr.models.ircnn import IRCNN, IRCNNDenoiser
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.run import Run


def main(
    sweep: Annotated[Path, typer.Argument(help="the folder that the sweep made: one run for each noise level")],
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("ircnn.safetensors"),
    last_noise: Annotated[float, typer.Option(help="of conf/model/ircnn.yaml")] = 1.0,
    licence: Annotated[str, typer.Option(help="of the weights, for their card")] = "not stated",
    test: Annotated[
        list[Path] | None, typer.Option(help="a folder as for zoomsr.evaluate: scores for the card; may be repeated")
    ] = None,
) -> None:
    """Fold the batch norm of every denoiser's best checkpoint and write the bank, in the order of the noise levels."""
    with one_line_errors():
        net = bank(sweep)
        weights = Weights(output, net.state_dict(), settings(net) | {"last_noise": last_noise})
        ship(weights, output, origin=origin(runs_of(sweep)[0][1]), licence=licence, tests=test or ())
        say({"use": f"python -m zoomsr.evaluate ckpt={output} data_dir=FOLDER"})


def settings(net: IRCNN) -> dict[str, Any]:
    """How the net was made, as ``conf/model/ircnn.yaml`` says it."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        made = plain(compose("train", ["model=ircnn"]).model)
    width = net.denoisers[0].noise.in_channels
    return {**made, "channels": net.channels, "n_denoisers": len(net.denoisers), "width": width}


def origin(run: Path) -> Origin:
    """Of the bank: what one of its runs says that is true of all."""
    first = Origin.of_run(Run.read(run))
    command = " ".join(word for word in first.command.split() if not word.startswith("degradation.sigma="))
    command = command.replace("zoomsr.train", "zoomsr.train -m")
    return replace(first, command=command, degradation="", protocols={}, sets={})


def runs_of(sweep: Path) -> list[tuple[int, Path]]:
    """Noise levels, of 255, with their runs, in order."""
    configs = {path.parents[1]: yaml.safe_load(path.read_text("utf-8")) for path in sweep.glob("*/.hydra/config.yaml")}
    return sorted((round(config["degradation"]["sigma"] * 255), run) for run, config in configs.items())


def bank(sweep: Path) -> IRCNN:
    """The denoisers of a sweep, each with its best weights, plugged in.

    Raises:
        ValueError: the noise levels are not 2, 4, 6 ... of 255.
    """
    runs = runs_of(sweep)
    levels = [level for level, _ in runs]
    if not runs or levels != list(range(2, 2 * len(runs) + 1, 2)):
        raise ValueError(f"{sweep} holds noise levels {levels}, expected 2, 4, 6 ... of 255")
    denoisers = []
    for _, run in runs:
        weights = Weights.read(run / "checkpoints" / "best.ckpt")
        denoisers.append(IRCNNDenoiser(**{k: value for k, value in weights.own_config().items() if k != "_target_"}))
        weights.load_into(denoisers[-1])
    first, degradation = denoisers[0], Bicubic(2)
    width = first.noise.in_channels
    net = IRCNN(scale=2, degradation=degradation, channels=first.channels, width=width, n_denoisers=len(runs))
    net.plug_in(denoisers)
    return net


if __name__ == "__main__":
    typer.run(main)
