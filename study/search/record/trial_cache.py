"""The trials of a study as its storage holds them, each read again only where it may have changed."""

from bisect import insort
from collections.abc import Iterator
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from study.search.record.objectives import Objectives
from study.search.record.storage import Storage
from study.search.record.trial import Trial
from study.search.sampling.enumeration import Identity, identity


class TrialCache:
    """Keeps what was read, so that a look costs as much as there are trials that go on, not as there are
    trials.

    What has ended is never read again. In the process that writes (`is_writer`), what others cannot have
    changed is not, either.
    """

    def __init__(self, storage: Storage, objectives: Objectives) -> None:
        self.is_writer = False
        self.tried: set[Identity] = set()
        """Every configuration that a trial has, or waits for."""
        self.run_ids: dict[int, str] = {}
        """MLflow runs that became known after their trial's end."""
        self._storage = storage
        self._objectives = objectives
        self._ids: list[int] = []
        self._frozen: dict[int, FrozenTrial] = {}
        self._trials: dict[int, Trial] = {}
        self._open: set[int] = set()
        self._stale: set[int] = set()
        self._distributions: dict[frozenset[tuple[str, BaseDistribution]], Any] = {}
        self._ranked: list[Trial] = []
        """Those that ended with a value, the best first."""

    def __len__(self) -> int:
        self._refresh()
        return len(self._ids)

    def __iter__(self) -> Iterator[Trial]:
        self._refresh()
        return iter(self._trials.values())

    def trial(self, number: int) -> Trial:
        """One trial."""
        self._refresh(number)
        return self._trials[number]

    def frozen(self, number: int) -> FrozenTrial:
        """One trial as Optuna has it."""
        self._refresh(number)
        return self._frozen[number]

    def past(self) -> list[tuple[Trial, FrozenTrial]]:
        """All trials both ways, by number."""
        self._refresh()
        return list(zip(self._trials.values(), self._frozen.values(), strict=True))

    def waiting(self) -> int | None:
        """The first trial that waits to be started."""
        self._refresh()
        return min((number for number in self._open if self._trials[number].state == "waiting"), default=None)

    def ranked(self) -> list[Trial]:
        """Trials that reported a value, the best first: those that miss a constraint come last, equal ones by
        number.
        """
        self._refresh()
        ranked = list(self._ranked)
        for number in self._open:
            if self._trials[number].value is not None:
                insort(ranked, self._trials[number], key=self._rank)
        return ranked

    def id_of(self, number: int) -> int:
        """The storage's id of a trial."""
        if number >= len(self._ids):
            self._refresh()
        return self._ids[number]

    def changed(self, number: int) -> None:
        """Says that a trial was written to."""
        self.is_writer = True
        self._stale.add(number)

    def added(self, trial_id: int) -> int:
        """Says that a trial was added; gives its number."""
        self.is_writer = True
        self._take(trial_id)
        return len(self._ids) - 1

    def note_runs(self, run_ids: dict[int, str]) -> None:
        """Says which MLflow runs became known after their trials' ends."""
        self.run_ids |= run_ids
        self._ranked = [trial for trial in self._ranked if trial.number not in run_ids]
        for number in run_ids:
            if number < len(self._ids):
                self._read(number)

    def _refresh(self, number: int | None = None) -> None:
        if not self.is_writer:
            while (trial_id := self._id_in_storage(len(self._ids))) is not None:
                self._take(trial_id)
            self._stale |= self._open
        for stale in self._stale & {number} if number is not None else set(self._stale):
            self._read(stale)

    def _id_in_storage(self, number: int) -> int | None:
        try:
            return int(self._storage.get_trial_id_from_study_id_trial_number(self._storage.study_id, number))
        except KeyError:
            return None

    def _take(self, trial_id: int) -> None:
        number = len(self._ids)
        self._ids.append(trial_id)
        self._open.add(number)
        self._read(number)

    def _read(self, number: int) -> None:
        self._stale.discard(number)
        frozen = self._storage.get_trial(self._ids[number])
        if number not in self._frozen or frozen.state.is_finished():
            self._share_distributions(frozen)
        trial = self._objectives.trial(frozen, self.run_ids.get(number))
        self._frozen[number], self._trials[number] = frozen, trial
        self.tried.add(identity(trial.point))
        if trial.has_ended:
            self._open.discard(number)
            if trial.value is not None:
                insort(self._ranked, trial, key=self._rank)

    def _share_distributions(self, frozen: FrozenTrial) -> None:
        """Ranges are equal in most trials, and make up a fourth of what Optuna keeps of one."""
        frozen.distributions = self._distributions.setdefault(
            frozenset(frozen.distributions.items()), frozen.distributions
        )

    def _rank(self, trial: Trial) -> tuple[bool, float, int]:
        merit = self._objectives.objectives[0].merit(trial.value or 0.0)
        return (not trial.is_feasible, -merit, trial.number)
