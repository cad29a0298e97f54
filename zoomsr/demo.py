"""``python -m zoomsr.demo``: the page in the browser."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.native import share_cores_and_memory
from zoomsr.cli.options import OwnNetsOption, TrustOption
from zoomsr.pretrained.names import existing_weights
from zoomsr.runs.directories import lock, locks_end
from zoomsr.runs.layout import LOCK

_PREFIX = "zoomsr-demo-"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def demo(
    host: Annotated[str, typer.Option(help="who may open the page; 0.0.0.0: the whole network")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="of the page", min=1, max=65535)] = 7860,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, torch, openvino, onnx; auto: the fastest that is there")] = "auto",
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="weights or a run to offer as well; may be repeated")
    ] = None,
    net: OwnNetsOption = None,
    trust: TrustOption = False,
) -> None:
    """Open a page in the browser that upscales a crop of a photograph by every net, side by side.

    Nothing leaves this machine, and the page needs no internet. Ctrl-C ends it.
    """
    with one_line_errors():
        if importlib.util.find_spec("gradio") is None:
            raise ValueError("the page needs an extra: pip install zoomsr[demo]")
        for name in model or ():
            existing_weights(name)
        share_cores_and_memory()
        from zoomsr.pretrained.own_nets import accepted  # torch, which is slow: mistakes are answered before
        from zoomsr.webapp.steps import Nets

        own = accepted(model or [], nets=net or [], trust=trust)
        nets = Nets(model or [], device=device, engine=engine, own=own)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the folder is removed
        _remove_left_overs()
        with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, locks_end():
            folder = Path(name).resolve()
            lock(folder)
            # Gradio reads them as it is imported; without them it writes to /tmp/gradio, and sends statistics.
            os.environ |= {"GRADIO_TEMP_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
            from zoomsr.webapp.blocks import serve

            serve(nets, host=host, port=port, folder=folder)


def _remove_left_overs() -> None:
    """Remove the folders of servers that were killed: those that no running one has locked."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # A folder without a lock file is being made right now; a link may lead anywhere.
        if path.is_symlink() or not (path / LOCK).is_file():
            continue
        with suppress(ValueError, OSError), locks_end():  # in use, or another user's
            lock(path)
            shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    app()
