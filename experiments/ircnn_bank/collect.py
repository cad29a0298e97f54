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
        runs = sorted((noise_level(run), run) for run in (path.parent for path in sweep.glob("*/.hydra")))
        expected = [2 * (number + 1) for number in range(len(runs))]
        if not runs or [level for level, _ in runs] != expected:
            raise ValueError(f"{sweep} holds noise levels {[level for level, _ in runs]}, expected 2, 4, 6 ... of 255")
        denoisers = [trained(run) for _, run in runs]
        width, channels = denoisers[0].noise.in_channels, denoisers[0].channels
        arguments = {"scale": 2, "channels": channels, "width": width, "n_denoisers": len(runs)}
        bank = IRCNN(**arguments, degradation=Bicubic(2))
        bank.plug_in(denoisers)
        Weights(output, bank.state_dict(), None).save(output)
        overrides = " ".join(f"model.{name}={value}" for name, value in arguments.items() if name != "scale")
        say({"wrote": f"{output} ({len(runs)} denoisers)", "use": f"model=ircnn {overrides} ckpt={output}"})


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
