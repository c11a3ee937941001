"""Ray Tune's searcher over the study's record: which trial starts next, and what became of it."""

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from search_spaces.space import SearchSpace
from study.execution.assignment import trial_config
from study.search.limits import Limits
from study.search.record import StudyRecord


class RecordSearcher(Searcher):
    """Asks the record for points as slots become free, so that each draw knows all that was measured before it.

    Trials that the record holds as running when the search starts were cut off by the death of an earlier driver: they are
    handed out again first, under their own numbers.
    """

    def __init__(self, record: StudyRecord, space: SearchSpace, seed: int, limits: Limits, count_slots: Callable[[], int]) -> None:
        super().__init__()
        self._record = record
        self._space = space
        self._seed = seed
        self._limits = limits
        self._count_slots = count_slots
        self._orphans = [(trial.number, trial.point) for trial in record.trials if trial.state == "running"]
        self._num_started = sum(trial.state != "waiting" for trial in record.trials)
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's configuration; None while all slots are taken, FINISHED when the budget is spent."""
        if not self._orphans and not self._limits.allow_another(self._num_started):
            return Searcher.FINISHED
        if len(self._numbers) >= self._count_slots():
            return None
        if self._orphans:
            number, point = self._orphans.pop(0)
        else:
            number, point = self._record.ask(self._space, self._seed)
            self._num_started += 1
        self._numbers[trial_id] = number
        return trial_config(number, point)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Frees the slot. How a trial ended was recorded with its last epoch, unless its process died."""
        number = self._numbers.pop(trial_id, None)
        if error and number is not None:
            self._record.finish(number, "failed", "its process died")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the state is in the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the state is in the record."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles what it may want to restore, and here the record is the state."""
        return {}
