"""Every logger gets the numbers that TensorBoard gets, each once, also after a resume; and a profiler's table."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from _support import logged
from _support.kills import Settings, finish, kill_after, new_job
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers.logger import Logger

from zoomsr.metrics.quality import METRICS
from zoomsr.runs.run import Run

Train = Callable[..., Run]

LOCAL = ["csv", "mlflow", "trackio", "wandb"]
"""All that keep what they get on this machine, without TensorBoard."""


@pytest.fixture(scope="session")
def trackio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests, because trackio reads its place when it is imported."""
    return tmp_path_factory.mktemp("trackio")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, trackio_folder: Path, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("TRACKIO_DIR", str(trackio_folder))
    monkeypatch.setenv("ZOOMSR_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Strict.points.clear()
    Strict.settings.clear()
    yield
    if "wandb" in sys.modules:  # else a job of the next test shares its server, which outlives a kill with its run open
        sys.modules["wandb"].teardown()


def _require(kind: str) -> None:
    if kind != "csv" and importlib.util.find_spec(kind) is None:
        pytest.skip(f"{kind} is not installed: pip install zoomsr[{kind}]")


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


class PowerCut(Callback):
    """Ends the training at a step, the first time; the last checkpoint is then three steps old."""

    is_due: ClassVar[bool] = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if PowerCut.is_due and trainer.global_step == 8:
            PowerCut.is_due = False
            raise ValueError("the power went")


def _require_equal(found: Mapping[str, Sequence[Any]], expected: Mapping[str, Sequence[Any]]) -> None:
    """The same names, and for each the same steps, once, with the same values to float32."""
    assert found.keys() == expected.keys()
    for name, points in expected.items():
        assert [step for step, _ in found[name]] == [step for step, _ in points], name
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in points], rel=1e-6), name


def _require_whole(points: logged.Points, run: Run, *, epochs: int) -> None:
    """Every epoch and step once, as metrics.csv has it, with the validation's metrics and the final scores."""
    for name in [*(f"{split}/{name}" for split in ("train", "val") for name in METRICS), "val/loss", "val/mae_gap"]:
        assert [step for step, _ in points[name]] == list(range(1, epochs + 1)), name
        assert [value for _, value in points[name]] == pytest.approx([row[name] for row in run.epochs], rel=1e-6)
    for name in ("train/loss", "optim/learning_rate"):
        assert [step for step, _ in points[name]] == list(range(1, 5 * epochs + 1)), name  # an epoch has 5 steps
    ((step, score),) = points["test/psnr_y"]
    assert (step, score) == (epochs, pytest.approx(run.means()["srcnn"]["psnr_y"], rel=1e-5))


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
    first, last = Strict.settings  # before the training, and with its length
    assert (first["model"], first["optimizer.lr"]) == ("srcnn", 1e-3)
    assert last == first | {"epochs": 2}


def test_csv_beside_tensorboard_has_the_same_points(train: Train) -> None:
    run = train("logger=[tensorboard,csv]")
    points = logged.of_csv(run)
    _require_whole(points, run, epochs=2)
    _require_equal(points, logged.of_tensorboard(run))
    settings = yaml.safe_load((run.path / "csv" / "hparams.yaml").read_text())
    assert (settings["optimizer.lr"], settings["epochs"]) == (0.001, 2)


@pytest.mark.slow  # importing one of them takes seconds
@pytest.mark.parametrize("kind", ["mlflow", "trackio", "wandb"])
def test_two_loggers_at_once_have_the_same_points_and_pictures(train: Train, kind: str) -> None:
    _require(kind)
    run = train(f"logger=[csv,{kind}]")
    points = logged.READERS[kind](run)
    _require_whole(points, run, epochs=2)
    _require_equal(points, logged.of_csv(run))
    (crop,) = (path.name.split("_", 1)[1] for path in (run.path / "pictures").iterdir())
    gallery = ("gallery/good results and difficulties", 2)
    assert logged.pictures_of(kind, run) == {(f"held-out/{crop}", 1), (f"held-out/{crop}", 2), gallery}
    settings = logged.settings_of(kind, run)
    assert (settings["model"], float(settings["optimizer.lr"])) == ("srcnn", 0.001)


@pytest.mark.parametrize(
    "kind", ["csv", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("mlflow", "trackio", "wandb"))]
)
def test_after_a_resume_no_point_is_there_twice_and_none_is_missing(
    train: Train, command: Callable[..., Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _require(kind)
    monkeypatch.setattr(PowerCut, "is_due", True)
    with pytest.raises(SystemExit):
        train(f"logger={kind}", "+callbacks.cut._target_=test_loggers.PowerCut")
    (path,) = (one.parent for one in Path.cwd().glob("run*/settings.yaml"))
    command(f"ckpt={path}")
    run = Run.read(path)
    points = logged.READERS[kind](run)
    _require_whole(points, run, epochs=2)

    command(f"ckpt={path}")  # nothing is left to do
    assert logged.READERS[kind](run) == points
    command(f"ckpt={path}", "trainer.max_epochs=3")  # MLflow takes no other value of the parameter `epochs`
    longer = logged.READERS[kind](run)
    assert [step for step, _ in longer["val/psnr_y"]] == [1, 2, 3]
    assert [step for step, _ in longer["test/psnr_y"]] == [2, 3]
    if kind == "wandb":
        assert len(set(logged.wandb_ids(run))) == 1
    if kind == "mlflow":  # which has one run only, see mlflow_run
        client, mlflow_id = logged.mlflow_run(run)
        assert client.get_run(mlflow_id).data.tags["epochs"] == "3"
        assert client.get_run(mlflow_id).info.status == "FINISHED"


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_kill_of_every_rank_doubles_no_point(settings: Settings, ranks: int) -> None:
    kinds = [kind for kind in LOCAL if kind == "csv" or importlib.util.find_spec(kind) is not None]
    trainer = {1: "trainer=cpu", 2: "trainer=ddp_cpu"}[ranks]
    small = [trainer, "trainer.log_every_n_steps=1", "trainer.max_epochs=2", "data.patches_per_image=16"]
    job = new_job(settings, "run", *small, f"logger=[tensorboard,{','.join(kinds)}]", "callbacks.last.minutes=0")
    assert kill_after(job, ranks, saves={1: 4, 2: 1}[ranks])  # two ranks save less often
    finish(job, ranks)
    run = Run.read(job.path)
    steps = {"train/loss": list(range(1, 2 * 20 // ranks + 1)), "val/psnr_y": [1, 2], "test/psnr_y": [2]}
    for kind in ["tensorboard", *kinds]:
        points = logged.READERS[kind](run)
        for name, expected in steps.items():
            found = [step for step, _ in points[name]]
            assert len(found) == len(set(found)), (kind, name)
            # A kill within a step loses its point; W&B and trackio lose what they had not written.
            lost = set(expected) - set(found)
            assert len(lost) <= {"tensorboard": 0, "csv": 1, "mlflow": 1}.get(kind, len(expected)), (kind, name)


def test_lightnings_own_csv_logger_works_alone(train: Train) -> None:
    csv_logger = "{_target_:lightning.pytorch.loggers.CSVLogger,save_dir:'${run_dir}',name:'',version:csv}"
    run = train("logger=none", f"+logger.csv={csv_logger}", "trainer.max_epochs=1")
    points = logged.of_csv(run)
    _require_whole(points, run, epochs=1)
    assert "optimizer.lr: 0.001" in (run.path / "csv" / "hparams.yaml").read_text()


@pytest.mark.parametrize("kind", ["mlflow", "trackio", "wandb"])
def test_a_missing_package_is_one_line_that_names_the_extra(
    train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("zoomsr.cli.config._requirements", lambda: [f'{kind}>=1 ; extra == "{kind}"'])
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == kind else find_spec(name))
    import_module = importlib.import_module

    def lacking(name: str, package: str | None = None) -> Any:
        if name == kind:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return import_module(name, package)

    monkeypatch.setattr(importlib, "import_module", lacking)
    with pytest.raises(SystemExit):
        train(f"logger={kind}")
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert line.endswith(f"{kind} is not installed: pip install zoomsr[{kind}]")


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
