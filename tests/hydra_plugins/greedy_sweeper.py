"""A sweeper for tests: tries a list of values one by one, and then the best of them once more."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GreedySweeper(Sweeper):
    """Maximizes the metric; ``told`` holds what each job has returned, an exception where it failed."""

    told: list[object] = []  # noqa: RUF012  # of the newest sweep, for the test to read

    def __init__(self, key: str, values: Sequence[float]) -> None:
        self._key = key
        self._values = list(values)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        GreedySweeper.told = []
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        for number, value in enumerate(self._values):
            self._try(arguments, value, number)
        best = max(zip(self.told, self._values, strict=True), key=lambda pair: _number(pair[0]))
        self._try(arguments, best[1], len(self._values))

    def _try(self, arguments: list[str], value: float, number: int) -> None:
        (job,) = self._launcher.launch([[*arguments, f"{self._key}={value}"]], initial_job_idx=number)
        try:
            self.told.append(job.return_value)
        except ValueError as error:
            self.told.append(error)


def _number(told: object) -> float:
    return told if isinstance(told, float) else -float("inf")


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="greedy",
    node={"_target_": f"{__name__}.GreedySweeper", "key": "???", "values": "???"},
    provider="tests",
)
