"""From the runs of ``experiment=ircnn_bank`` to the one file that ``model=ircnn`` opens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from zoomsr.degradations import Bicubic
from zoomsr.errors import one_line_errors
from zoomsr.models.ircnn import IRCNN, IRCNNDenoiser
from zoomsr.screen import say
from zoomsr.weights import Weights


def main(
    sweep: Annotated[Path, typer.Argument(help="the folder that the sweep made: one run for each noise level")],
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("ircnn.safetensors"),
) -> None:
    """Fold the batch norm of every denoiser's best checkpoint and write the bank, in the order of the noise levels."""
    with one_line_errors():
        net = bank(sweep)
        Weights(output, net.state_dict(), None).save(output)
        first = net.denoisers[0]
        overrides = f"model.channels={net.channels} model.width={first.noise.in_channels}"
        count = len(net.denoisers)
        say({"wrote": f"{output} ({count} denoisers)"})
        say({"use": f"model=ircnn {overrides} model.n_denoisers={count} ckpt={output}"})


def bank(sweep: Path) -> IRCNN:
    """The denoisers of a sweep, each with its best weights, plugged in.

    Raises:
        ValueError: the noise levels are not 2, 4, 6 ... of 255.
    """
    runs = sorted((noise_level(run), run) for run in (path.parent for path in sweep.glob("*/.hydra")))
    expected = [2 * (number + 1) for number in range(len(runs))]
    if not runs or [level for level, _ in runs] != expected:
        raise ValueError(f"{sweep} holds noise levels {[level for level, _ in runs]}, expected 2, 4, 6 ... of 255")
    denoisers = [trained(run) for _, run in runs]
    net = IRCNN(
        scale=2,
        degradation=Bicubic(2),
        channels=denoisers[0].channels,
        width=denoisers[0].noise.in_channels,
        n_denoisers=len(runs),
    )
    net.plug_in(denoisers)
    return net


def noise_level(run: Path) -> int:
    """Of 255."""
    return round(yaml.safe_load((run / ".hydra" / "config.yaml").read_text())["degradation"]["sigma"] * 255)


def trained(run: Path) -> IRCNNDenoiser:
    """The denoiser of a run, with its best weights."""
    weights = Weights.read(run / "checkpoints" / "best.ckpt")
    denoiser = IRCNNDenoiser(**{key: value for key, value in weights.own_config().items() if key != "_target_"})
    weights.load_into(denoiser)
    return denoiser


if __name__ == "__main__":
    typer.run(main)
