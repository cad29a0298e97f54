"""Lightning loggers whose runs survive a resume: TensorBoard, CSV, W&B, MLflow, trackio; each names its missing extra.

What must outlive a process, as the id of a W&B run, is in ``loggers.json`` in the run's directory.
"""

from __future__ import annotations

import csv
import importlib
import json
import secrets
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from zoomsr.runs.directories import locked
from zoomsr.runs.files import short, write_json
from zoomsr.runs.layout import LOGGERS_JSON


class RunTensorBoardLogger(TensorBoardLogger):
    """TensorBoard, with the event files in the run's directory itself: TensorBoard calls a run by its folder.

    It writes no ``hparams.yaml``; ``settings.yaml`` has more.

    Args:
        run_dir: the run's directory.
    """

    def __init__(self, *, run_dir: str) -> None:
        super().__init__(run_dir, name="", version="", default_hp_metric=False)

    @rank_zero_only
    def save(self) -> None:
        """Flush the event file."""
        self.experiment.flush()


class ResumableCSVLogger(CSVLogger):
    """Appends to the ``metrics.csv`` of a resumed run, which Lightning's own deletes; each row is written at once.

    Args:
        save_dir: the run's directory.
        version: the folder below it.
    """

    def __init__(self, *, save_dir: str, version: str) -> None:
        super().__init__(save_dir, name="", version=version, flush_logs_every_n_steps=1)

    @property
    @rank_zero_experiment
    def experiment(self) -> _AppendingWriter:
        """The writer of rows."""
        if self._experiment is None:
            self._experiment = _AppendingWriter(log_dir=self.log_dir)
        return self._experiment  # type: ignore[return-value]


class _AppendingWriter(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        """Take over the columns of the file that is there."""
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                self.metrics_keys = next(csv.reader(file), [])


class ResumableWandbLogger(WandbLogger):
    """Weights & Biases; a resumed run keeps its id, and its rows their numbers, also offline.

    W&B numbers the rows of every process from 0, and drops rows whose number it has, unless it is online.

    Args:
        run_dir: the run's directory; its name is that of the W&B run, which has its files there.
        project: of the W&B runs.
    """

    def __init__(self, *, run_dir: str, project: str) -> None:
        importlib.import_module("wandb")
        super().__init__(name=Path(run_dir).name, save_dir=run_dir, project=project)
        self._run_dir = Path(run_dir)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run."""
        if self._experiment is None:
            self._wandb_init["id"] = self._id = kept_id(self._run_dir, "wandb_id")
        return super().experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write a row; W&B draws its values over ``trainer/global_step``."""
        row = read_state(self._run_dir).get("wandb_rows", 0)
        update_state(self._run_dir, wandb_rows=row + 1)
        self.experiment.log({**metrics, "trainer/global_step": step}, step=row)

    def close(self, *, failed: bool) -> None:
        """End the W&B run of this process."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=int(failed))
            self._experiment = None


class ResumableMLFlowLogger(MLFlowLogger):
    """MLflow, with pictures; a resumed run keeps its id.

    Args:
        run_dir: the run's directory; its name is that of the MLflow run.
        experiment_name: what MLflow groups runs by.
        tracking_uri: of a server or a database; None for ``mlflow.db`` in ``folder``, and pictures beside it.
        folder: see ``tracking_uri``.
    """

    def __init__(self, *, run_dir: str, experiment_name: str, tracking_uri: str | None, folder: str) -> None:
        importlib.import_module("mlflow")
        place = Path(folder).resolve()
        place.mkdir(parents=True, exist_ok=True)
        # Ranks and jobs that start together would make the database, and then the experiment, twice.
        self._alone = nullcontext if tracking_uri else partial(locked, place)
        with self._alone():
            super().__init__(
                experiment_name,
                run_name=Path(run_dir).name,
                tracking_uri=tracking_uri or f"sqlite:///{place / 'mlflow.db'}",
                artifact_location=None if tracking_uri else (place / "mlflow_artifacts").as_uri(),
                run_id=read_state(Path(run_dir)).get("mlflow_id"),
            )
        self._run_dir = Path(run_dir)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The client; the run is made, or resumed, at first.

        Raises:
            ValueError: the run is no longer there.
        """
        from mlflow.exceptions import MlflowException

        if self._initialized:
            return self._mlflow_client
        resumed = self._run_id
        try:
            with self._alone():
                client = super().experiment
        except MlflowException as error:
            if resumed is None:
                raise
            advice = f"remove mlflow_id from {short(self._run_dir / LOGGERS_JSON)} for a new one"
            raise ValueError(f"MLflow has no run {resumed} in {self._tracking_uri} ({error}): {advice}") from None
        if resumed is not None:
            client.update_run(resumed, status="RUNNING")
        update_state(self._run_dir, mlflow_id=self._run_id)
        return client

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any]) -> None:  # type: ignore[override]  # no Namespace here
        """Log settings; MLflow refuses another value of a parameter, which becomes a tag."""
        client, known = self.experiment, self.experiment.get_run(self.run_id).data.params
        super().log_hyperparams({name: value for name, value in params.items() if name not in known})
        for name, value in params.items():
            if name in known and known[name] != str(value)[:250]:  # as Lightning cuts them
                client.set_tag(self.run_id, name, str(value))

    @rank_zero_only
    def log_image(self, key: str, images: list[Image.Image], step: int | None = None) -> None:
        """Log pictures; the same signature as ``WandbLogger.log_image``."""
        for image in images:
            self.experiment.log_image(self.run_id, image, key=key, step=step, synchronous=True)


class TrackioLogger(Logger):
    """trackio, which has W&B's interface and a local database (``TRACKIO_DIR``); a resumed run keeps its name.

    Args:
        run_dir: the run's directory; the name of the trackio run begins with its name.
        project: of the trackio runs.
    """

    def __init__(self, *, run_dir: str, project: str) -> None:
        importlib.import_module("trackio")
        super().__init__()
        self._run_dir = Path(run_dir)
        self._project = project
        self._settings: dict[str, Any] = {}
        self._run: Any = None

    @property
    def name(self) -> str:
        """The project."""
        return self._project

    @property
    def version(self) -> str:
        """The name of the trackio run, by which it is resumed."""
        return f"{self._run_dir.name}-{kept_id(self._run_dir, 'trackio_id')}"

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any]) -> None:  # type: ignore[override]  # no Namespace here
        """Keep settings for the first row, with which trackio writes them."""
        self._settings |= params

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write a row."""
        import trackio

        if self._run is None:  # not as an `experiment`, which Lightning would open before the settings are known
            self._run = trackio.init(
                self._project, name=self.version, resume="allow", config=self._settings, embed=False
            )
        self._run.log(dict(metrics), step=step)

    @rank_zero_only
    def log_image(self, key: str, images: list[Image.Image], step: int | None = None) -> None:
        """Log pictures; the same signature as ``WandbLogger.log_image``."""
        import trackio

        for image in images:
            self.log_metrics({key: trackio.Image(image)}, step)

    def close(self, *, failed: bool) -> None:
        """End the trackio run of this process."""
        import trackio

        if self._run is not None:
            trackio.finish()
            self._run = None


def read_state(run_dir: Path) -> dict[str, Any]:
    """What the loggers of a run must know after a resume; empty at first."""
    path = run_dir / LOGGERS_JSON
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return state


def update_state(run_dir: Path, **entries: Any) -> None:
    """Replace entries of ``read_state``; on the first rank alone."""
    write_json(run_dir / LOGGERS_JSON, read_state(run_dir) | entries)


def kept_id(run_dir: Path, key: str) -> str:
    """A random id, the same after a resume."""
    if key not in read_state(run_dir):
        update_state(run_dir, **{key: secrets.token_hex(4)})
    return str(read_state(run_dir)[key])
