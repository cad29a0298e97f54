"""``python -m zoomsr.prepare``: get, check and pack data sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.native import share_cores
from zoomsr.runs.files import require_new

if TYPE_CHECKING:
    from zoomsr.data.sources.photographs import Photographs

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Get, check and pack data sets."
)

Scale = Annotated[int, typer.Option(help="of lr", min=2, max=4)]
Packed = Annotated[Path | None, typer.Argument(help="a packed set; default: all of the cache")]


@app.command()
def div2k(
    root: Annotated[Path, typer.Option(help="gets the zips, the photographs and packed/")] = Path("data/DIV2K"),
    scale: Scale = 2,
    only: Annotated[
        str | None, typer.Option(help="hr: fetch no lr, our bicubic makes the same pixels from hr; 1 GB less")
    ] = None,
    offline: Annotated[Path | None, typer.Option(help="a folder with the zips, or with what is in them")] = None,
    mirror: Annotated[list[str] | None, typer.Option(help="address of a folder with the zips; may be repeated")] = None,
) -> None:
    """Fetch DIV2K, check it, unpack and pack it. Run again after an interruption: it does what is missing."""
    with _command():
        if only not in (None, "hr"):
            raise ValueError(f"--only {only}: hr is the one choice")
        if offline is not None and not offline.is_dir():
            raise ValueError(f"--offline {offline} is no folder")
        from zoomsr.data.div2k.archives import DIV2K_MIRROR  # torch with the next, which is slow
        from zoomsr.data.div2k.prepare import Preparation
        from zoomsr.runs.directories import locked

        root.mkdir(parents=True, exist_ok=True)
        preparation = Preparation(
            root=root, scale=scale, hr_only=only == "hr", offline=offline, mirrors=mirror or [DIV2K_MIRROR]
        )
        with locked(root):
            photographs = preparation.run()
        _pack(photographs, scale)
        _say_next(f"python -m zoomsr.prepare verify {root}", f"python -m zoomsr.train data=div2k data.root={root}")


@app.command()
def folder(
    path: Annotated[Path, typer.Argument(help="images at any depth")],
    val_root: Annotated[
        Path | None, typer.Option(help="a folder of validation images; default: a tenth of PATH")
    ] = None,
    scale: Scale = 2,
) -> None:
    """Pack a folder of images into the cache, as data=folder does when it first reads it."""
    with _command():
        for root in (path,) if val_root is None else (path, val_root):
            _require_pictures(root)
        from zoomsr.data.sources.photographs import folder as photographs

        _pack(photographs(str(path), val_root=None if val_root is None else str(val_root)), scale)
        _say_next(f"python -m zoomsr.train data=folder data.root={path}")


@app.command()
def sample(scale: Scale = 2) -> None:
    """Pack the ten photographs of data=sample into the cache."""
    with _command():
        from zoomsr.data.sources.photographs import sample as photographs

        _pack(photographs(), scale)
        _say_next("python -m zoomsr.train data=sample")


@app.command()
def stream(
    path: Annotated[Path, typer.Argument(help="images at any depth")],
    output: Annotated[Path, typer.Argument(help="a new folder, to be copied to where it is streamed from")],
) -> None:
    """Write images as chunks for data=streaming (needs the extra zoomsr[streaming])."""
    with _command():
        _require_pictures(path)
        require_new(output)
        from zoomsr.cli.progress import progress_bar
        from zoomsr.data.sources.photographs import images
        from zoomsr.data.sources.streaming import write_stream

        photos = images(path)
        with progress_bar() as progress:
            task = progress.add_task("writing", total=len(photos))
            write_stream(photos, output, advance=lambda: progress.advance(task))
        _say_next(f"python -m zoomsr.train data=streaming data.url={output}")


@app.command()
def verify(path: Packed = None) -> None:
    """Check packed pixels: intact, lr and hr of the same names, sizes and alignment, no validation image trained on."""
    with _command():
        from zoomsr.cli.console import CONSOLE, findings_table
        from zoomsr.cli.progress import progress_bar
        from zoomsr.data.packed.inventory import folders

        places = folders(path)
        from zoomsr.data.packed.verify import verify_folders

        with progress_bar() as progress:
            task = progress.add_task("checking", total=None)
            findings = verify_folders(places, advance=lambda: progress.advance(task))
        CONSOLE.print(findings_table("Packed photographs", findings))
        if not all(finding.fine for _, finding in findings):
            raise typer.Exit(1)


@app.command()
def cache() -> None:
    """List what is packed in the cache."""
    with _command():
        from zoomsr.cli.console import decimal, say
        from zoomsr.data.packed.inventory import folders, size
        from zoomsr.data.packed.verify import contents
        from zoomsr.runs.files import cache_folder

        for place in folders(None):
            say({decimal(size(place)): f"{place}: {contents(place)}"})
        say({"all": f"{decimal(sum(map(size, folders(None))))} in {cache_folder()} (ZOOMSR_CACHE moves it)"})


@app.command()
def clear(path: Packed = None) -> None:
    """Remove packed pixels; photographs stay."""
    with _command():
        from zoomsr.cli.console import decimal, say
        from zoomsr.data.packed.inventory import remove

        say({"removed": decimal(remove(path))})


@contextmanager
def _command() -> Iterator[None]:
    from zoomsr.cli.console import said_logs

    share_cores()
    with one_line_errors(), said_logs():
        yield


def _require_pictures(root: Path) -> None:
    from zoomsr.imaging.files import SUFFIXES  # NumPy and Pillow
    from zoomsr.imaging.listing import pictures_in

    pictures_in(root, SUFFIXES)


def _pack(photographs: Photographs, scale: int) -> None:
    from zoomsr.cli.console import say
    from zoomsr.data.sources.photographs import TRAIN, VAL
    from zoomsr.imaging.degradations import Bicubic

    for split in (TRAIN, VAL):
        pairs = photographs.pairs(split, Bicubic(scale))
        say({split: f"{len(pairs.hr)} photographs, packed in {pairs.hr.path.parent}"})


def _say_next(*commands: str) -> None:
    from zoomsr.cli.console import say

    say({"next": "; then ".join(commands)})


if __name__ == "__main__":
    app()
