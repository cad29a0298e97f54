"""The trainings of a study as csv files: ``results.csv``, ``epochs.csv`` and ``facts.csv``."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiments.measuring import Measured
from experiments.report import Value, machine, write_facts, write_rows
from experiments.trials import Trial
from zoomsr.metrics.quality import METRICS
from zoomsr.models.complexity import Costs
from zoomsr.runs.run import Run

HELD_OUT = "held out"
BICUBIC = "bicubic"


def collect(
    folder: Path, trials: Sequence[Trial], measured: Mapping[Path, Measured], costs: Mapping[str, Costs]
) -> None:
    """Write the three files into the study's folder.

    Args:
        folder: of the study.
        trials: that are finished.
        measured: folder of each to its means on the test sets; a folder called ``bicubic`` holds the baseline's.
        costs: of each job's net.
    """
    jobs = by_job(trials)
    write_rows(folder / "results.csv", list(_results(jobs, measured, costs)))
    write_rows(folder / "epochs.csv", [row for job, seeds in jobs.items() for row in _epochs(job, seeds)])
    write_facts(folder / "facts.csv", facts(trials))


def facts(trials: Sequence[Trial]) -> dict[str, Value]:
    """Where the runs ran, how long, and the largest set among them: a job may take a part, or pictures of its own."""
    results = [Run.read(run).results or {} for trial in trials for run in trial.runs]
    data = max((one["data"] for one in results), key=lambda one: (one["n_val"], one["n_train"]))
    return {
        "machine": machine(),
        "runs": len(results),
        "minutes": sum(one["seconds"] for one in results) / 60,
        "photographs": data["n_train"],
        "held_out": data["n_val"],
        "data_hash": data["hash"],
    }


def by_job(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Job to its seeds, in the study's order."""
    jobs: dict[str, list[Trial]] = {}
    for trial in trials:
        jobs.setdefault(trial.job, []).append(trial)
    return jobs


def held_out(trials: Sequence[Trial]) -> dict[Path, Measured]:
    """What the runs themselves measured on their held-out photographs, bicubic among them."""
    found: dict[Path, Measured] = {}
    for trial in trials:
        if not trial.is_sweep:
            for net, means in Run.read(trial.folder).means().items():
                place = Path(BICUBIC) if net == BICUBIC else trial.folder
                found.setdefault(place, {HELD_OUT: {"as trained": {"modern": means}}})
    return found


def _results(
    jobs: Mapping[str, list[Trial]], measured: Mapping[Path, Measured], costs: Mapping[str, Costs]
) -> Iterator[dict[str, Value]]:
    spent = {
        job: {
            **_trained(seeds),
            "params": costs[job].params,
            "gmacs": costs[job].macs / 1e9,  # for an output of 1280x720
            "latency_ms": costs[job].latency_ms,  # for 128x128 lr
            "peak_mb": costs[job].peak_mb,
        }
        for job, seeds in jobs.items()
    }
    baseline = next(sets for folder, sets in measured.items() if folder.name == BICUBIC)
    for name, degradations in baseline.items():
        for degradation, protocols in degradations.items():
            for protocol, means in protocols.items():
                key: dict[str, Value] = {"set": name, "shrunk_by": degradation, "protocol": protocol}
                yield {**key, "net": BICUBIC, **{metric: means[metric] for metric in METRICS}}
                for job, seeds in jobs.items():
                    scores = [measured[trial.folder][name][degradation][protocol] for trial in seeds]
                    yield {**key, "net": job, "seeds": len(seeds), **_spread(scores), **spent[job]}


def _spread(scores: Sequence[Mapping[str, float]]) -> dict[str, Value]:
    """Mean over seeds, and the sample's standard deviation where there are two."""
    row: dict[str, Value] = {}
    for metric in METRICS:
        values = [score[metric] for score in scores]
        row[metric] = statistics.fmean(values)
        row[f"{metric}_sd"] = statistics.stdev(values) if len(values) > 1 else None
    return row


def _trained(seeds: Sequence[Trial]) -> dict[str, Value]:
    """Means over seeds; a net that is made of several runs took the time of all."""
    results = [[Run.read(run).results or {} for run in trial.runs] for trial in seeds]
    minutes = statistics.fmean(sum(run["seconds"] for run in runs) for runs in results) / 60
    best = None if seeds[0].is_sweep else statistics.fmean(runs[0]["best_epoch"] for runs in results)
    return {"best_epoch": best, "minutes": minutes}


def _epochs(job: str, seeds: Sequence[Trial]) -> Iterator[dict[str, Value]]:
    """Means over the seeds that have come so far."""
    histories = [_whole_epochs(Run.read(trial.folder).epochs) for trial in seeds if not trial.is_sweep]
    for number in range(max(map(len, histories), default=0)):
        rows = [history[number] for history in histories if number < len(history)]
        passed = [
            sum(row["seconds"] for row in history[: number + 1]) for history in histories if number < len(history)
        ]
        row: dict[str, Value] = {"net": job, "epoch": number + 1, "seeds": len(rows)}
        for metric in ("train/mae", "val/mae", "train/psnr_y", "val/psnr_y"):
            values = [one[metric] for one in rows if metric in one]
            row[metric.replace("/", "_")] = statistics.fmean(values) if values else None
        yield {**row, "minutes": statistics.fmean(passed) / 60}


def _whole_epochs(rows: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """One row for each, with all its seconds; one that was cut short is left out: each seed's stands at other steps."""
    found: dict[float, dict[str, float]] = {}
    for row in rows:
        passed = found.get(row["epoch"], {}).get("seconds", 0)
        found[row["epoch"]] = {**row, "seconds": passed + row["seconds"]}
    length = next((row.get("step", 0) for row in found.values()), 0)  # rows of older versions have no steps
    return [row for row in found.values() if row.get("step", 0) == row["epoch"] * length]
