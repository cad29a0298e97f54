"""One megapixel through the offline page in Chromium, beside ``zoomsr.zoom`` by torch on the same core.

``python -m experiments.benchmarks.inference_speed.offline_page`` writes offline_page.csv. Seconds of all Chromium's
processes together are those of one core, which a busy machine changes least. It needs
chromium, playwright, and onnxruntime-web, which is fetched once or named by ``ZOOMSR_ORT_WEB``.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from experiments import tables
from experiments.benchmarks.harness import note
from experiments.report import machine, write_rows
from zoomsr.data.sources.photographs import sample
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.export_options import ExportOptions
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.webapp.offline.page import write_page

HERE = Path(__file__).parent
SIDE = 1024
LONGEST_MS = 900_000


def main() -> None:
    """Measure, write the csv, and bring the README up to date."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as folder:
        source, html, result = (Path(folder, name) for name in ("photo.png", "zoom.html", "photo-x2.png"))
        with Image.open(min(photo.path for photo in sample().val)) as opened:
            picture = opened.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        picture.save(source)
        named = os.environ.get("ZOOMSR_ORT_WEB")
        write_page("unet", html, ExportOptions(runtime=Path(named) if named else None), overwrite=False)
        rows = [by_torch(picture, result.with_name(f"{precision}.png"), precision) for precision in ("32", "auto")]
        page = in_chromium(html, source, result)
        found, *expected = (_levels(path) for path in (result, *result.parent.glob("[3a]*.png")))
        page["most_levels"] = max(int(np.abs(found - sr).max()) for sr in expected)
        shared = {"machine": machine(), "megapixels": SIDE**2 / 2**20, "page_mb": html.stat().st_size / 1e6}
    base = rows[0]["cpu_s"]
    write_rows(
        HERE / "offline_page.csv", [{**shared, **row, "times_torch": row["cpu_s"] / base} for row in (*rows, page)]
    )
    tables.write(HERE / "README.md")


def by_torch(picture: Image.Image, result: Path, precision: str) -> dict[str, Any]:
    """A row; the result is written."""
    upscaler = Upscaler.open("unet", how=NetOptions("cpu", precision=precision, engine="torch"))
    kind = "bfloat16" if upscaler.bfloat16 else "float32"
    note(f"torch, {kind}")
    wall, cpu = time.perf_counter(), time.process_time()
    sr = upscaler.upscale(Photograph.of(picture)).pixels
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    Image.fromarray(sr).save(result)
    return {"way": f"zoom, torch, {kind}", "cpu_s": cpu, "wall_s": wall}


def in_chromium(html: Path, source: Path, result: Path) -> dict[str, Any]:
    """A row; the result is written."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        version = browser.version.split(".")[0]
        note(f"the page, Chromium {version}")
        processes = browser.new_browser_cdp_session()

        def cpu_seconds() -> float:
            found = processes.send("SystemInfo.getProcessInfo")["processInfo"]
            return float(sum(one["cpuTime"] for one in found))

        page: Page = browser.new_page()
        page.goto(html.as_uri())
        page.locator("#file").set_input_files(source)
        page.locator("#enlarge:enabled").wait_for(timeout=LONGEST_MS)
        wall, cpu = time.perf_counter(), cpu_seconds()
        page.locator("#enlarge").click()
        page.locator("#results").wait_for(timeout=LONGEST_MS)
        cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
        found = processes.send("SystemInfo.getProcessInfo")["processInfo"]
        peak = max(_peak_gb(one["id"]) for one in found if one["type"] == "renderer")
        with page.expect_download() as download:
            page.locator("#download").click()
        download.value.save_as(result)
        browser.close()
    return {"way": f"page, Chromium {version}", "cpu_s": cpu, "wall_s": wall, "peak_gb": peak}


def _levels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def _peak_gb(process: int) -> float:
    """Of resident memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1e6 if found else float("nan")


if __name__ == "__main__":
    main()
