"""Ray Tune's searcher over the study's scheduler: which trial takes a free slot."""

import time
from collections.abc import Callable
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial as RayTrial
from ray.tune.search import Searcher

from study.execution.priorities import PRIORITY_IS
from study.execution.slots import SECONDS_BETWEEN_REASONS, Slots
from study.names import STOPS
from study.search.record.driver_lock import OnPhase
from study.search.trial_scheduler import TrialScheduler


class RaySearcher(Searcher):
    """Asks for trials as slots become free, so that each draw knows all that was measured before it."""

    def __init__(
        self, scheduler: TrialScheduler, slots: Slots, on_phase: OnPhase, name: Callable[[int], str]
    ) -> None:
        """`name` says how trials are called."""
        super().__init__()
        self._name = name
        self._on_phase = on_phase
        self._scheduler = scheduler
        self._slots = slots
        self._numbers: dict[str, int] = {}
        """Of the trials that were handed out, by Ray Tune's name."""
        self._started: set[str] = set()
        """Those of them that have a process, and not only wait for one."""
        self._warning = ""
        self._said = -SECONDS_BETWEEN_REASONS
        self._says_it_stops = False

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is a text
        """The next trial's configuration; None while there is none, FINISHED when nothing runs and nothing
        more will start.
        """
        if len(self._numbers) >= self._num_slots():
            if not self._numbers:
                self._say_that_it_waits()
            self._scheduler.take_edits()  # a study that waits for a slot may be stopped, too
            self._say_that_it_stops()
            return self._none()
        config = self._scheduler.next_trial()
        self._say_that_it_stops()
        if config is None:
            return self._none()
        self._numbers[trial_id] = config.number
        return config.to_config()

    def has_room_after_an_end(self) -> bool:
        """Whether another trial may start when one of those that run has ended."""
        return len(self._numbers) - 1 < self._num_slots()

    def gives_way(self, number: int) -> bool:
        """Whether a trial that would continue pauses, as the queue gives its slot to another study."""
        grant = self._slots.grant  # one answer of the queue: the next one may come at any moment
        if grant is None or not self._scheduler.gives_way(number, grant.num_kept):
            return False
        at = f"{self._name(number)} pauses after epoch {self._scheduler.last_epoch(number)}"
        self._on_phase(
            "running",
            f"{at}: its slot goes to {', '.join(grant.in_favour_of)}; it goes on from there once a slot is "
            "free",
        )
        return True

    def move(self, number: int) -> None:
        """Lets a trial that would continue go on elsewhere, as its machine goes away."""
        self._scheduler.move(number)
        at = f"{self._name(number)} moves after epoch {self._scheduler.last_epoch(number)}"
        self._on_phase("running", f"{at}: its machine is taken away; it goes on from there elsewhere")

    def on_trial_start(self, trial_id: str) -> None:
        """Takes note that a trial has a process."""
        self._started.add(trial_id)
        self._on_phase("running", None)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Frees the slot.

        The study's scheduler knows the trial's end from its last report, or from Ray Tune's scheduler.
        """
        self._numbers.pop(trial_id, None)
        self._started.discard(trial_id)

    def _say_that_it_waits(self) -> None:
        now = time.monotonic()
        if now - self._said >= SECONDS_BETWEEN_REASONS:
            self._said = now
            self._on_phase("queued", self._slots.why_none())

    def _say_that_it_stops(self) -> None:
        if self._scheduler.is_stopped and not self._says_it_stops:
            self._says_it_stops = True
            self._say(f"{STOPS} its running trials have ended their epochs")

    def _num_slots(self) -> int:
        edit = self._scheduler.last_priority
        if edit is not None and self._slots.set_priority(edit):
            self._say(f"{PRIORITY_IS}{edit.priority}, set by {edit.user}")
        grant = self._slots.grant
        if grant is not None and grant.warning != self._warning:
            self._warning = grant.warning
            self._say(grant.warning or "its owner is within the month's GPU hours again")
        return self._slots.count(len(self._started), len(self._numbers) + self._scheduler.num_more)

    def _say(self, text: str) -> None:
        self._on_phase("running" if self._started else "queued", text)
        self._said = -SECONDS_BETWEEN_REASONS  # a study that waits says why once more, as its last word

    def _none(self) -> str | None:
        return Searcher.FINISHED if not self._numbers and self._scheduler.is_over else None

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the state is in the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the state is in the record."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles what it may want to restore, and here the record is the state."""
        return {}


class Starts(Callback):
    """Tells the searcher which trials have a process: only those hold slots."""

    def __init__(self, searcher: RaySearcher) -> None:
        self._searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        """See Callback."""
        self._searcher.on_trial_start(trial.trial_id)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as the searcher."""
        return {}
