"""``python -m zoomsr.export``: a trained net as a file of its own, for zoomsr or for other programs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, cast

import typer

from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.native import share_cores
from zoomsr.cli.options import OwnNetsOption, TrustOption

if TYPE_CHECKING:
    from zoomsr.inference.export_options import ExportOptions

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def export(
    model: Annotated[
        str, typer.Option("--model", "-m", help="unet, vdsr, srcnn, a run's folder, or a file of weights")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="FILE.onnx, .dtmodel (for darktable), .pt2 (torch.export) or .safetensors"),
    ] = None,
    to_hub: Annotated[
        Path | None, typer.Option(help="instead of --out, FOLDER: weights, card, README and example for Hugging Face")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="instead of --out, FILE.html: a page that enlarges in any browser, offline")
    ] = None,
    test: Annotated[
        list[Path] | None, typer.Option(help="a folder as for zoomsr.evaluate: scores for the card; may be repeated")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="of the weights; without it what their card says")] = None,
    quality: Annotated[
        float | None, typer.Option(help="JPEG quality of the input, for a net that is told it; 100: never compressed")
    ] = None,
    size: Annotated[str | None, typer.Option(help="ONNX of one input size: 512x512, width and height")] = None,
    opset: Annotated[int | None, typer.Option(help="ONNX of this opset, 17 or newer")] = None,
    half: Annotated[bool, typer.Option("--half", help="store weights in float16; the net computes in float32")] = False,
    uint8: Annotated[
        bool, typer.Option("--uint8", help="ONNX with bytes in and out, instead of floats on 0 to 1")
    ] = False,
    runtime: Annotated[
        Path | None, typer.Option(help="with --page: npm's package of ONNX Runtime Web; else it is fetched once")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a file that is there")] = False,
    net: OwnNetsOption = None,
    trust: TrustOption = False,
) -> None:
    """Write a trained net: any batch, height and width for ONNX and torch.export; with a card for safetensors.

    What is written is first run beside the net itself, and refused where it gives other pixels.
    """
    with one_line_errors():
        share_cores()
        from zoomsr.inference.export_options import ExportOptions, Form  # NumPy and Pillow

        target = _target(out, page, to_hub)
        form = Form(size=None if size is None else _size(size), opset=opset, half=half, uint8=uint8)
        options = ExportOptions(licence, test or (), quality, form, runtime)
        options.require_ready(model, target, overwrite=overwrite)
        from zoomsr.pretrained.own_nets import accepted  # torch, which is slow: mistakes are answered before

        options = replace(options, nets=accepted([model], nets=net or (), trust=trust))
        _writer(target, is_hub=to_hub is not None)(model, target, options, overwrite=overwrite)


class _Write(Protocol):
    """Writes a net into a file of one kind."""

    def __call__(self, model: str, out: Path, options: ExportOptions, *, overwrite: bool) -> None: ...


def _writer(target: Path, *, is_hub: bool) -> _Write:
    if is_hub:
        from zoomsr.inference.hub import write_hub as write
    elif target.suffix == ".html":
        from zoomsr.webapp.offline.page import write_page as write
    else:
        from zoomsr.inference.export import write
    return write


def _target(out: Path | None, page: Path | None, to_hub: Path | None) -> Path:
    """The file to write: ``--page FILE`` is ``--out`` for a page; of a folder for the hub the weights."""
    if sum(one is not None for one in (out, page, to_hub)) != 1:
        raise ValueError("give one of --out FILE, --page FILE.html and --to-hub FOLDER")
    if page is not None and page.suffix != ".html":
        raise ValueError(f"--page {page} must end in .html")
    if to_hub is not None:
        if to_hub.exists() and not to_hub.is_dir():
            raise ValueError(f"--to-hub {to_hub} is no folder")
        return to_hub / "model.safetensors"
    return cast(Path, out or page)


def _size(text: str) -> tuple[int, int]:
    """Height and width."""
    if (found := re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)) is None:
        raise ValueError(f"--size {text} must be WIDTHxHEIGHT in pixels, as 512x512")
    return int(found[2]), int(found[1])


if __name__ == "__main__":
    app()
