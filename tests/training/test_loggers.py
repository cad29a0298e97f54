"""Every logger of Lightning gets the numbers that TensorBoard gets, and a profiler its table onto the screen."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from lightning.pytorch.loggers.logger import Logger

from zoomsr.metrics.quality import METRICS
from zoomsr.runs.run import Run

Train = Callable[..., Run]


class Strict(Logger):
    """What Lightning asks of a logger, and nothing else: settings without metrics."""

    points: ClassVar[list[tuple[int | None, dict[str, float]]]] = []
    settings: ClassVar[list[dict[str, Any]]] = []

    @property
    def name(self) -> str:
        return "strict"

    @property
    def version(self) -> int:
        return 0

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.points.append((step, dict(metrics)))

    def log_hyperparams(self, params: dict[str, Any]) -> None:  # type: ignore[override]
        self.settings.append(params)


@pytest.fixture(autouse=True)
def _empty() -> None:
    Strict.points.clear()
    Strict.settings.clear()


def test_any_logger_gets_the_points_by_epoch_the_settings_and_the_final_scores(train: Train) -> None:
    run = train("+logger.strict._target_=test_loggers.Strict")
    by_epoch = [(step, metrics) for step, metrics in Strict.points if "val/psnr_y" in metrics]
    assert [step for step, _ in by_epoch] == [1, 2]
    for (_, metrics), row in zip(by_epoch, run.epochs, strict=True):
        for name in [*(f"{split}/{name}" for split in ("train", "val") for name in METRICS), "val/loss", "val/mae_gap"]:
            assert metrics[name] == pytest.approx(row[name])
    assert sum("train/loss" in metrics for _, metrics in Strict.points) == 10  # one for each step
    ((step, final),) = ((step, metrics) for step, metrics in Strict.points if "test/psnr_y" in metrics)
    assert step == 2
    assert final["test/psnr_y"] == pytest.approx(run.means()["srcnn"]["psnr_y"], rel=1e-5)
    (settings,) = Strict.settings
    assert settings["model"] == "srcnn"
    assert settings["optimizer.lr"] == 1e-3


def test_lightnings_own_csv_logger_works_alone(train: Train) -> None:
    csv_logger = "{_target_:lightning.pytorch.loggers.CSVLogger,save_dir:'${run_dir}',name:csv,version:all}"
    run = train("logger=none", f"+logger.csv={csv_logger}", "trainer.max_epochs=1")
    with (run.path / "csv" / "all" / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/psnr_y"]]
    assert [row["step"] for row in rows] == ["1"]
    assert float(rows[0]["val/psnr_y"]) == pytest.approx(run.epochs[0]["val/psnr_y"])
    assert "optimizer.lr: 0.001" in (run.path / "csv" / "all" / "hparams.yaml").read_text()


def test_a_profilers_table_is_shown(train: Train) -> None:
    shown: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: shown.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("lightning.pytorch.profilers")
    logger.addHandler(handler)
    try:
        train("trainer.profiler=simple", "trainer.max_epochs=1")
    finally:
        logger.removeHandler(handler)
    assert [text.split()[0] for text in shown] == ["FIT", "TEST"]
    assert "run_training_batch" in shown[0]
