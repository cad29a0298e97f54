"""The console script: ``zoomsr train ...`` is ``python -m zoomsr.train ...``."""

from __future__ import annotations

import runpy
import sys

import typer

from zoomsr.compare import compare
from zoomsr.demo import demo
from zoomsr.export import export
from zoomsr.prepare import app as prepare
from zoomsr.zoom import zoom

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Digital zoom: enlarge photographs; train nets, and measure them.",
)

# Hydra reads these commands' arguments itself, --help included.
_HYDRA = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=_HYDRA, add_help_option=False)
def train(context: typer.Context) -> None:
    """Train a net: zoomsr train model=unet trainer.max_epochs=10 (--help lists every setting)."""
    _run("zoomsr.train", context)


@app.command(context_settings=_HYDRA, add_help_option=False)
def evaluate(context: typer.Context) -> None:
    """Measure nets: zoomsr evaluate data_dir=Set5 ckpt=FILE (--help says more)."""
    _run("zoomsr.evaluate", context)


app.command()(zoom)
app.command()(compare)
app.command()(export)
app.command()(demo)
app.add_typer(prepare, name="prepare")


def _run(module: str, context: typer.Context) -> None:
    sys.argv = [sys.argv[0], *context.args]
    # As python -m does, so that Lightning can start further ranks by the module's name.
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    app()
