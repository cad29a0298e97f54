"""Commands beside a program that keeps one core busy, with OpenMP's default and with ours: ``make bench-busy``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from experiments import tables
from experiments.benchmarks.harness import note, timed
from experiments.report import Value, machine, write_rows
from zoomsr.data.sources.photographs import sample

HERE = Path(__file__).parent
DEFAULT = {"GOMP_SPINCOUNT": "300000"}
"""How often a thread that waits spins: libgomp's default, says its manual. A command that finds it set leaves it."""
STEPS = 16


def main() -> None:
    """Each command alone and beside a busy core, both ways; write results.csv, bring the README up to date."""
    photo = min(photo.path for photo in sample().val)
    rows: list[dict[str, Value]] = []
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as folder:
        train = f"data=sample trainer.accelerator=cpu trainer.max_epochs=1 trainer.limit_train_batches={STEPS}"
        commands = {
            "zoom": ["zoom", str(photo), "--engine", "torch", "--overwrite", "-o", f"{folder}/larger.png"],
            "train": ["train", *train.split(), "overwrite=true", f"hydra.run.dir={folder}/run"],
        }
        for command in commands.values():
            _run(command, {})  # once, so that all files are in memory
        for name, command in commands.items():
            for beside in ("nothing", "a busy core"):
                note(f"{name}, beside {beside}")
                with nullcontext() if beside == "nothing" else _busy():
                    default, ours = timed(partial(_run, command, DEFAULT)), timed(partial(_run, command, {}))
                rows.append(
                    {
                        "machine": machine(),
                        "command": name,
                        "beside": beside,
                        "default_s": default,
                        "ours_s": ours,
                        "times_default": default / ours,
                    }
                )
    write_rows(HERE / "results.csv", rows)
    tables.write(HERE / "README.md")


@contextmanager
def _busy() -> Iterator[None]:
    """A program beside that keeps one core busy, in a session of its own, as if started from another terminal.

    Linux gives each session the same share of the cores (autogroup).
    """
    with subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) as process:
        try:
            yield
        finally:
            process.kill()


def _run(arguments: list[str], settings: Mapping[str, str]) -> None:
    environment = {**os.environ, **settings}
    command = [sys.executable, "-m", f"zoomsr.{arguments[0]}", *arguments[1:]]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
