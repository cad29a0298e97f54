"""A study's csv files: ``results.csv`` from its leaderboards, ``epochs.csv`` and ``facts.csv`` from its runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from experiments.report import Value, machine
from zoomsr.metrics.quality import METRICS
from zoomsr.report.leaderboard import Leaderboard
from zoomsr.runs.run import Run


def results(
    tables: Sequence[Leaderboard], jobs: Sequence[str], degradations: Mapping[str, str]
) -> Iterator[dict[str, Value]]:
    """Bicubic, then every job, of each set, degradation and protocol: means, their spread over seeds, and costs.

    Args:
        tables: rows are labelled with the jobs' names.
        jobs: in the study's order.
        degradations: of a table, to the choice of ``conf/degradation``.
    """
    for table in tables:
        shrunk_by = degradations.get(table.measured.degradation, table.measured.degradation)
        key: dict[str, Value] = {"set": table.measured.name, "shrunk_by": shrunk_by, "protocol": table.protocol}
        yield {**key, "net": table.bicubic.label, **{metric: table.bicubic.mean[metric] for metric in METRICS}}
        for net in sorted(table.nets, key=lambda net: jobs.index(net.label)):
            costs = net.costs
            yield {
                **{**key, "net": net.label, "seeds": net.seeds},
                **{metric: net.mean[metric] for metric in METRICS},
                **{f"{metric}_sd": net.spread(metric) for metric in METRICS},
                **{"best_epoch": costs.get("best_epoch"), "minutes": costs["seconds"] / 60},
                **{"params": int(costs["params"]), "gmacs": costs["macs"] / 1e9},  # for an output of 1280x720
                **{"latency_ms": costs["latency_ms"], "peak_mb": costs["peak_mb"]},  # for 128x128 lr
            }


def epochs(job: str, runs: Sequence[Run]) -> Iterator[dict[str, Value]]:
    """A row for each epoch of a job: means over the seeds that have reached it."""
    histories = [_whole_epochs(run.epochs) for run in runs]
    for number in range(max(map(len, histories), default=0)):
        reached = [history[: number + 1] for history in histories if number < len(history)]
        row: dict[str, Value] = {"net": job, "epoch": number + 1, "seeds": len(reached)}
        for metric in ("train/mae", "val/mae", "train/psnr_y", "val/psnr_y"):
            values = [history[-1][metric] for history in reached if metric in history[-1]]
            row[metric.replace("/", "_")] = statistics.fmean(values) if values else None
        yield {**row, "minutes": statistics.fmean(sum(one["seconds"] for one in history) for history in reached) / 60}


def facts(runs: Sequence[Run]) -> dict[str, Value]:
    """Machine, time, and the largest data set among the runs: a job may train on a part, or on images of its own."""
    found = [run.results for run in runs if run.results is not None]
    data = max((one["data"] for one in found), key=lambda one: (one["n_val"], one["n_train"]))
    return {
        "machine": machine(),
        "runs": len(found),
        "minutes": sum(one["seconds"] for one in found) / 60,
        "photographs": data["n_train"],
        "held_out": data["n_val"],
        "data_hash": data["hash"],
    }


def _whole_epochs(rows: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """One row for each epoch, with all its seconds; an epoch that was cut short, and differs by seed, is left out."""
    found: dict[float, dict[str, float]] = {}
    for row in rows:
        passed = found.get(row["epoch"], {}).get("seconds", 0)
        found[row["epoch"]] = {**row, "seconds": passed + row["seconds"]}
    length = next((row.get("step", 0) for row in found.values()), 0)  # rows of older versions have no steps
    return [row for row in found.values() if row.get("step", 0) == row["epoch"] * length]
