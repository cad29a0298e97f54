"""Tables on the screen: one look for a run, a sweep and a comparison."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

_COLUMNS = {
    "psnr_y": ("PSNR Y (dB)", "{:.2f}"),
    "psnr_rgb": ("PSNR RGB (dB)", "{:.2f}"),
    "ssim_y": ("SSIM Y", "{:.4f}"),
    "ssim_rgb": ("SSIM RGB", "{:.4f}"),
    "mae": ("MAE", "{:.4f}"),
}


def score_table(title: str, rows: Mapping[str, Mapping[str, float]]) -> Table:
    """Mean metrics by name, in the order given; the best value of each column is bold."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for label, _ in _COLUMNS.values():
        table.add_column(label, justify="right")
    best = {key: (min if key == "mae" else max)(row[key] for row in rows.values()) for key in _COLUMNS}
    for name, row in rows.items():
        cells = [
            f"[bold]{form.format(row[key])}[/]" if row[key] == best[key] else form.format(row[key])
            for key, (_, form) in _COLUMNS.items()
        ]
        table.add_row(name, *cells)
    return table
