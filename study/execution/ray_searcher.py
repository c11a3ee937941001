"""Ray Tune's searcher over the study's scheduler: which trial takes a free slot."""

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from study.execution.slots import Slots
from study.search.record.driver_lock import Phase
from study.search.trial_scheduler import TrialScheduler


class RaySearcher(Searcher):
    """Asks for trials as slots become free, so that each draw knows all that was measured before it."""

    def __init__(self, scheduler: TrialScheduler, slots: Slots, on_phase: Callable[[Phase], None]) -> None:
        super().__init__()
        self._on_phase = on_phase
        self._scheduler = scheduler
        self._slots = slots
        self._numbers: dict[str, int] = {}
        self._wants_more = True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is a text
        """The next trial's configuration; None while there is none, FINISHED when nothing runs and nothing
        more will start.
        """
        if len(self._numbers) >= self._num_slots():
            if not self._numbers:
                self._on_phase("queued")
            self._scheduler.take_edits()  # a study that waits for a slot may be stopped, too
            return self._none()
        config = self._scheduler.next_trial()
        self._wants_more = config is not None
        if config is None:
            return self._none()
        self._on_phase("running")
        self._numbers[trial_id] = config.number
        return config.to_config()

    def has_room_after_an_end(self) -> bool:
        """Whether another trial may start when one of those that run has ended."""
        return len(self._numbers) - 1 < self._num_slots()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Frees the slot.

        The study's scheduler knows the trial's end from its last report, or from Ray Tune's scheduler.
        """
        self._numbers.pop(trial_id, None)

    def _num_slots(self) -> int:
        return self._slots.count(len(self._numbers), wants_more=self._wants_more)

    def _none(self) -> str | None:
        return Searcher.FINISHED if not self._numbers and self._scheduler.is_over else None

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the state is in the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the state is in the record."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles what it may want to restore, and here the record is the state."""
        return {}
