"""What a logger holds of a run: the points of every name, as ``{name: [(step, value), ...]}``, and its pictures."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from zoomsr.runs.run import Run

Points = dict[str, list[tuple[int, float]]]


def of_tensorboard(run: Run) -> Points:
    """Of all event files: the run's own, and those of training and validation, whose tags begin with ``epoch``."""
    points: Points = defaultdict(list)
    for file in [*sorted(run.path.glob("events*")), *sorted(run.path.glob("[tv]*/events*"))]:
        events = EventAccumulator(str(file), size_guidance={"scalars": 0}).Reload()
        for tag in events.Tags()["scalars"]:
            name = tag if file.parent == run.path else tag.replace("epoch", file.parent.name, 1)
            points[name] += [(event.step, event.value) for event in events.Scalars(tag)]
    return points


def of_csv(run: Run) -> Points:
    """Of metrics.csv."""
    with (run.path / "csv" / "metrics.csv").open(newline="") as file:
        return _by_name(list(csv.DictReader(file)), step="step")


def of_wandb(run: Run) -> Points:
    """Of the files that ``wandb sync`` would send, in the order of their making."""
    rows = [row for record in _wandb_records(run) if (row := _wandb_row(record))]
    numbers = [int(row["_step"]) for row in rows]
    assert numbers == sorted(set(numbers))  # W&B drops a row whose number it has
    return _by_name(rows, step="trainer/global_step")


def wandb_ids(run: Run) -> list[str]:
    """The id of the W&B run of each process."""
    return [record.run.run_id for record in _wandb_records(run) if record.WhichOneof("record_type") == "run"]


def of_mlflow(run: Run) -> Points:
    """Of the local database."""
    client, mlflow_id = mlflow_run(run)
    names = client.get_run(mlflow_id).data.metrics
    return {name: [(one.step, one.value) for one in client.get_metric_history(mlflow_id, name)] for name in names}


def mlflow_run(run: Run) -> tuple[Any, str]:
    """A client, and the id of the only MLflow run in the database."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{run.path.parent / 'runs' / 'mlflow.db'}")
    (experiment,) = (one for one in client.search_experiments() if one.name == "zoomsr")
    (found,) = client.search_runs([experiment.experiment_id])
    return client, found.info.run_id


def of_trackio(run: Run) -> Points:
    """Of the local database."""
    return _by_name(_trackio_rows(run), step="step")


READERS: dict[str, Callable[[Run], Points]] = {
    "tensorboard": of_tensorboard,
    "csv": of_csv,
    "wandb": of_wandb,
    "mlflow": of_mlflow,
    "trackio": of_trackio,
}


def _by_name(rows: list[dict[str, Any]], *, step: str) -> Points:
    points: Points = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            if "/" in name and name != step and value not in (None, "") and not isinstance(value, dict):
                points[name].append((int(row[step]), float(value)))
    return points


def _wandb_row(record: Any) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for item in record.history.item if record.WhichOneof("record_type") == "history" else []:
        first, *rest = item.nested_key or [item.key]
        value = json.loads(item.value_json)
        row[first] = row.get(first, {}) | {".".join(rest): value} if rest else value
    return row


def _trackio_rows(run: Run) -> list[dict[str, Any]]:
    from trackio.sqlite_storage import SQLiteStorage

    rows: list[dict[str, Any]] = SQLiteStorage.get_logs("zoomsr", _trackio_name(run))
    return rows


def _trackio_name(run: Run) -> str:
    return f"{run.path.name}-{json.loads((run.path / 'loggers.json').read_text())['trackio_id']}"


def _wandb_records(run: Run) -> Iterator[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    for file in sorted((run.path / "wandb").glob("offline-run-*/*.wandb")):
        for data in _leveldb_records(file.read_bytes()):
            record = Record()
            record.ParseFromString(data)
            yield record


def _leveldb_records(data: bytes) -> Iterator[bytes]:
    """W&B writes LevelDB's log format: blocks of 32 KiB, records with CRC, length and type (whole, or a part)."""
    block, place, parts = 1 << 15, 7, b""  # 7 bytes name the file's kind
    while place + 7 <= len(data):
        if block - place % block < 7:
            place = math.ceil(place / block) * block
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, last
            yield parts
            parts = b""


def pictures_of(kind: str, run: Run) -> set[tuple[str, int]]:
    """Names and steps of the pictures in a logger other than TensorBoard."""
    if kind == "wandb":
        rows = [_wandb_row(record) for record in _wandb_records(run)]
        pairs = [(name, row) for row in rows for name, value in row.items() if isinstance(value, dict)]
        return {(name, int(row["trainer/global_step"])) for name, row in pairs}
    if kind == "trackio":
        rows = _trackio_rows(run)
        return {(name, row["step"]) for row in rows for name, value in row.items() if isinstance(value, dict)}
    client, mlflow_id = mlflow_run(run)
    files = [Path(one.path).name for one in client.list_artifacts(mlflow_id, "images")]
    found = [file.split("+") for file in files if file.endswith(".png")]
    return {(name.replace("~", "/"), int(step)) for name, _, step, *_ in found}


def settings_of(kind: str, run: Run) -> dict[str, Any]:
    """The hyper-parameters in a logger other than TensorBoard; values may be texts."""
    if kind == "mlflow":
        client, mlflow_id = mlflow_run(run)
        return dict(client.get_run(mlflow_id).data.params)
    if kind == "trackio":
        from trackio.sqlite_storage import SQLiteStorage

        return SQLiteStorage.get_run_config("zoomsr", _trackio_name(run)) or {}
    updates = [record.config.update for record in _wandb_records(run) if record.WhichOneof("record_type") == "config"]
    return {item.key: json.loads(item.value_json) for update in updates for item in update}
