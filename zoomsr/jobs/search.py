"""A search for settings by Optuna; every trial is a job, on any launcher.

Optuna is used directly, because its Hydra sweeper has no pruning and no resume; the search space has the same syntax.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep

from zoomsr.cli.config import compose_for
from zoomsr.cli.console import say
from zoomsr.cli.overrides import LAST, quoted
from zoomsr.jobs.launchers import Launcher
from zoomsr.jobs.sweep import report
from zoomsr.runs.files import short, write_text
from zoomsr.runs.job import Job
from zoomsr.runs.layout import HYDRA_OVERRIDES, TRIAL
from zoomsr.runs.run import UNRANKED, Run
from zoomsr.runs.trust import require_own
from zoomsr.training.callbacks.pruning import STUDY, storage


class Search:
    """Trials in ``folder/trial_N``, with the study in ``folder/study.db``, from which an interrupted search resumes.

    Args:
        folder: of the search.
        n_trials: that finish or are pruned.
        space: overrides with a range for a value: ``optimizer.lr=tag(log,interval(1e-4,1e-2))``.
        objectives: metric to ``maximize`` or ``minimize``.
        sampler: of optuna.

    Raises:
        ValueError: nothing to search, or an unknown direction.
    """

    def __init__(
        self,
        *,
        folder: str,
        n_trials: int,
        space: Sequence[str],
        objectives: Mapping[str, Literal["maximize", "minimize"]],
        sampler: Any,
    ) -> None:
        if not space or not objectives:
            raise ValueError("hparams_search needs a space and an objective")
        if wrong := set(objectives.values()) - {"maximize", "minimize"}:
            raise ValueError(f"hparams_search.objectives: {wrong.pop()} is neither maximize nor minimize")
        self._folder = Path(folder)
        self._n_trials = n_trials
        self._space = _dimensions(space)
        self._objectives = dict(objectives)
        self._sampler = sampler

    def run(self, launcher: Launcher) -> int:
        """Run trials, as many at once as the launcher has room for; the exit code, 0 when none failed."""
        study = self._study()
        say({"search": f"{self._n_trials} trials in {short(self._folder)}, {launcher.room} at once"})
        known = {number: self._job(number) for number in range(len(study.trials)) if self._job(number).exists}
        jobs = {number: known[number] for number in _numbers(study, "COMPLETE", "PRUNED", "FAIL") if number in known}
        batch: dict[int, Job] = {}
        for number in _numbers(study, "RUNNING"):  # interrupted: they are resumed
            if number in known:
                require_own(known[number].path)
                batch[number] = known[number]
            else:  # before its settings were written
                self._tell(study, number, self._job(number))
        while batch or (count := min(launcher.room, self._lacking(study))):
            batch = batch or dict(self._next(study) for _ in range(count))
            launcher.run(list(batch.values()))
            for number, job in batch.items():
                self._tell(study, number, job)
            jobs |= batch
            if any(job.status()["state"] == "stopped" for job in batch.values()):
                break
            batch = {}
        again = f"the same command with {shlex.quote(f'hydra.run.dir={short(self._folder)}')}"
        code = report(list(jobs.values()), self._folder, again=again)
        best = study.best_trials if _numbers(study, "COMPLETE") else []
        say({"best": ", ".join(TRIAL.format(number=trial.number) for trial in best) or "none"})
        return code

    def _study(self) -> Any:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._folder.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            study_name=STUDY,
            storage=storage(self._folder),
            sampler=self._sampler,
            directions=list(self._objectives.values()),
            load_if_exists=True,
        )
        if study.trials:
            self._sampler.reseed_rng()  # or it would repeat the first trials' settings
        return study

    def _job(self, number: int) -> Job:
        return Job(self._folder / TRIAL.format(number=number))

    def _lacking(self, study: Any) -> int:
        """Trials still to run; the search gives up after ``n_trials`` failures."""
        ended, failed = _numbers(study, "COMPLETE", "PRUNED"), _numbers(study, "FAIL")
        return 0 if len(failed) >= self._n_trials else max(0, self._n_trials - len(ended))

    def _next(self, study: Any) -> tuple[int, Job]:
        trial = study.ask()
        job = self._job(trial.number)
        overrides = [f"{dimension.key}={dimension.suggest(trial)}" for dimension in self._space]
        own = [f"hparams_search.folder={quoted(str(self._folder))}", f"callbacks.pruning.trial={trial.number}"]
        task = HydraConfig.get().overrides.task
        settings = compose_for([*task, *overrides, *own], run_dir=job.path) | {"ckpt": LAST}
        if len(self._objectives) > 1:  # Optuna does not prune these
            settings["callbacks"]["pruning"] = None
        say({f"trial {trial.number}": " ".join(overrides)})
        (job.path / HYDRA_OVERRIDES).parent.mkdir(parents=True, exist_ok=True)
        write_text(job.path / HYDRA_OVERRIDES, yaml.safe_dump(overrides))
        return trial.number, Job.freeze(settings)

    def _tell(self, study: Any, number: int, job: Job) -> None:
        from optuna.trial import TrialState

        state = job.status()["state"]
        if state == "finished":
            study.tell(number, [_value(Run.read(job.path), name) for name in self._objectives])
        elif state != "stopped":  # a stopped one resumes with the search
            study.tell(number, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)


def _numbers(study: Any, *states: str) -> list[int]:
    return [trial.number for trial in study.trials if trial.state.name in states]


def _value(run: Run, objective: str) -> float:
    assert run.results is not None  # it is finished
    net: dict[str, Any] = run.results["net"]
    if not (ranked := run.means()):
        raise ValueError(f"{short(run.path)} has no scores to search by ({run.results[UNRANKED]}): leave debug= out")
    means = ranked[net["name"]]
    known = means | {name: float(net[name]) for name in ("params", "latency_ms")}
    if objective not in known:
        raise ValueError(f"hparams_search.objectives: {objective} is none of {', '.join(known)}")
    return known[objective]


class _Dimension(NamedTuple):
    """A setting and its possible values."""

    key: str
    values: Any

    def suggest(self, trial: Any) -> Any:
        """Ask an Optuna trial for a value."""
        values = self.values
        if isinstance(values, IntervalSweep):
            whole = isinstance(values.start, int) and isinstance(values.end, int)
            ask = trial.suggest_int if whole else trial.suggest_float
            return ask(self.key, values.start, values.end, log="log" in values.tags)
        return trial.suggest_categorical(self.key, values)


def _dimensions(overrides: Sequence[str]) -> list[_Dimension]:
    """Overrides with ``interval``, ``choice`` or ``range`` for a value, as Hydra reads them.

    Raises:
        ValueError: one is no override, or has a single value.
    """
    space = []
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if not override.is_sweep_override():
            raise ValueError(f"hparams_search.space: {override.input_line} leaves nothing to choose")
        values = (
            [str(value) for value in override.sweep_string_iterator()]
            if override.is_discrete_sweep()
            else override.value()
        )
        space.append(_Dimension(override.get_key_element(), values))
    return space
