"""``python -m zoomsr.export``: a trained net as a file of its own, for zoomsr or for other engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoomsr.cli.errors import one_line_errors

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def export(
    model: Annotated[
        str, typer.Option("--model", "-m", help="unet, vdsr, srcnn, a run's folder, or a file of weights")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="FILE.onnx, FILE.pt2 (torch.export) or FILE.safetensors")],
    test: Annotated[
        list[Path] | None, typer.Option(help="a folder as for zoomsr.evaluate: scores for the card; may be repeated")
    ] = None,
    licence: Annotated[str, typer.Option(help="of the weights, for their card")] = "not stated",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a file that is there")] = False,
) -> None:
    """Write a trained net: any batch, height and width for ONNX and torch.export; with a card for safetensors.

    What is written is first run beside the net itself, and refused where it gives other pixels.
    """
    with one_line_errors():
        from zoomsr.inference.export import write  # NumPy and Pillow; torch later

        write(model, out, licence=licence, tests=test or (), overwrite=overwrite)


if __name__ == "__main__":
    app()
