"""Tables and labelled lines that commands print."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal as decimal
from rich.markup import escape
from rich.table import Table

CONSOLE = Console()

SCORES = {
    "psnr_y": ("PSNR Y (dB)", "{:.2f}", max),
    "psnr_rgb": ("PSNR RGB (dB)", "{:.2f}", max),
    "ssim_y": ("SSIM Y", "{:.4f}", max),
    "ssim_rgb": ("SSIM RGB", "{:.4f}", max),
    "mae": ("MAE", "{:.4f}", min),
}
"""Name to heading, format, and which value of several is best."""


def score_table(title: str, rows: Mapping[str, Mapping[str, float]]) -> Table:
    """Mean metrics by name, in the order given; the best value of each column is bold."""
    table = Table(title=escape(title), title_justify="left")
    table.add_column("", overflow="fold")
    for label, _, _ in SCORES.values():
        table.add_column(label, justify="right")
    best = {key: choose(row[key] for row in rows.values()) for key, (_, _, choose) in SCORES.items()}
    for name, row in rows.items():
        cells = [
            f"[bold]{form.format(row[key])}[/]" if row[key] == best[key] else form.format(row[key])
            for key, (_, form, _) in SCORES.items()
        ]
        table.add_row(escape(name), *cells)
    return table


def epoch_table(rows: Sequence[Mapping[str, float]], *, best: int, best_step: int | None = None) -> Table:
    """The best and the last epoch of a training: a gap that grows is overfitting.

    Args:
        rows: of metrics.csv.
        best: the epoch whose weights were kept, counted from 1.
        best_step: after which they were kept; None for the epoch's end.
    """
    title = "MAE on training patches and validation images"
    table = Table("", "epoch", "training", "validation", "gap", "PSNR Y (dB)", title=title, title_justify="left")
    by_epoch = {int(row["epoch"]): row for row in rows}
    last = max(by_epoch)
    within = {row.get("step"): row for row in rows}.get(best_step) if best_step is not None else None
    for label, epoch, row in (("best", best, within or by_epoch.get(best, {})), ("last", last, by_epoch[last])):
        columns = (("train/mae", ".4f"), ("val/mae", ".4f"), ("val/mae_gap", "+.4f"), ("val/psnr_y", ".2f"))
        table.add_row(label, str(epoch), *(f"{row[name]:{form}}" if name in row else "" for name, form in columns))
    return table


def loss_table(rows: Sequence[Mapping[str, float]], *, shown: int = 5) -> Table:
    """How far a training gets on patches that are the same in every epoch, at some epochs evenly apart."""
    title = "The same patches in every epoch"
    table = Table("epoch", "loss", "MAE", "PSNR Y (dB)", title=title, title_justify="left")
    rows = [row for row in rows if "train/loss" in row]  # not a validation within an epoch
    numbers = dict.fromkeys(number * (len(rows) - 1) // (shown - 1) for number in range(shown))
    for row in (rows[number] for number in numbers if rows):
        columns = (("train/loss", ".3g"), ("train/mae", ".4f"), ("train/psnr_y", ".2f"))
        table.add_row(str(int(row["epoch"])), *(f"{row[name]:{form}}" for name, form in columns))
    return table


def band_table(title: str, rows: Mapping[str, Mapping[str, float]]) -> Table:
    """Error by frequency band, by name; less is better."""
    bands = [key for key in next(iter(rows.values())) if key.startswith("error_band_")]
    table = Table(title=escape(title), title_justify="left")
    table.add_column("cycles/pixel")
    for number in range(len(bands)):
        low, high = number / (2 * len(bands)), (number + 1) / (2 * len(bands))
        table.add_column(f"{low:.3g}-{high:.3g}", justify="right")
    for name, row in rows.items():
        table.add_row(escape(name), *(f"{row[band]:.2f}" for band in bands))
    return table


def findings_table(title: str, findings: Iterable[tuple[str, tuple[str, str, bool]]]) -> Table:
    """Checks by place: what was checked, what was found, and whether it is right."""
    table = Table("", "check", "found", "", title=title, title_justify="left")
    for place, (check, found, fine) in findings:
        table.add_row(escape(place), check, escape(found), "fine" if fine else "[bold red]wrong[/]")
    return table


def say(lines: Mapping[str, str]) -> None:
    """Print labelled lines without wrapping, so that paths stay whole in a log."""
    for label, text in lines.items():
        CONSOLE.print(f"[bold]{label:8}[/] {escape(printable(text))}", soft_wrap=True, highlight=False)


class _SaidRecords(logging.Handler):
    """Log records as labelled lines; the label is ``warning``, or the first word of a message below that level."""

    def emit(self, record: logging.LogRecord) -> None:
        label, _, text = record.getMessage().partition(" ")
        if record.levelno >= logging.WARNING:
            label, text = record.levelname.lower(), record.getMessage()
        say({label: text})


@contextmanager
def said_logs() -> Iterator[None]:
    """Print what zoomsr logs, from INFO on, as ``say`` prints lines; Hydra's handlers do not repeat it."""
    logger, handler = logging.getLogger("zoomsr"), _SaidRecords()
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def printable(text: str) -> str:
    """The text with escapes for what the terminal cannot show or would obey: a file name may hold any bytes."""
    shown = "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)
    return shown.encode(CONSOLE.encoding, errors="backslashreplace").decode(CONSOLE.encoding)
