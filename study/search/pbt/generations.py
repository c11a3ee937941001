"""The generations of a population, in the study's record: who went on where all had come, and who took whose
place.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from search_spaces.dimensions import Value
from study.search.pbt.explorer import Explorer
from study.search.record.checkpoints import branch_checkpoint
from study.search.record.continuation import Continues
from study.search.record.lineage import continuing, replaced
from study.search.record.study_record import StudyRecord
from study.search.record.trial import STOPPED, Trial
from study.stopping.decision import Generation
from study.stopping.groups import group_at
from study.stopping.rule_set import RuleSet

FACT = "generations"


class Generations:
    """A generation is noted before anything follows from it, so that a driver that died in its midst goes on
    with the same one.
    """

    def __init__(self, record: StudyRecord, explorer: Explorer, folder: Path) -> None:
        self._record = record
        self._explorer = explorer
        self._folder = folder
        self._noted = [_read(*noted) for noted in record.facts.get(FACT, [])]

    @property
    def last(self) -> Generation | None:
        """The one that may not have come about in full; None before the first."""
        return self._noted[-1] if self._noted else None

    def let_go_on(self, number: int, epoch: int) -> bool:
        """Whether the others have come to where a trial waits, and it kept its place."""
        return any(generation.epoch == epoch and number in generation.kept for generation in self._noted)

    def next(self, rule: RuleSet, paused: Collection[int], killed: Collection[int]) -> Generation | None:
        """What becomes of those that have waited longest, and of those that ended on the way, unless a person
        ended them.
        """
        epoch = min(self._record.trial(number).last_epoch for number in paused)
        waiting = [number for number in paused if self._record.trial(number).last_epoch == epoch]
        return rule.next_generation(epoch, waiting, self._unfit(epoch, waiting, killed))

    def note(self, generation: Generation) -> None:
        """Decides on a generation."""
        self._noted.append(generation)
        self._record.note(
            **{FACT: [(one.epoch, one.kept, tuple(one.parents.items())) for one in self._noted]}
        )

    def children(self, generation: Generation, pins: Mapping[str, Value]) -> tuple[Trial, ...]:
        """The trials that take the places of others, with their checkpoints, in the order of `parents`;
        creates those that lack.
        """
        children = {
            trial.continues.replaces: trial for trial in self._record.trials if trial.continues is not None
        }
        for place, parent in generation.parents.items():
            if place not in children:
                children[place] = self._child(
                    continuing(self._record.trial(parent), generation.epoch, place), pins
                )
            if not children[place].values and not children[place].has_ended:
                branch_checkpoint(self._folder, parent, children[place].number)
        return tuple(children[place] for place in generation.parents)

    def let_go(self, generation: Generation, paused: Collection[int]) -> set[int]:
        """Notes that those which kept their place go on, and says who of the paused they are."""
        kept = {
            number
            for number in generation.kept
            if number in paused and self._record.trial(number).last_epoch == generation.epoch
        }
        for number in kept:
            self._record.unpause(number)
        return kept

    def _child(self, continues: Continues, pins: Mapping[str, Value]) -> Trial:
        number, parent = len(self._record.trials), self._record.trial(continues.trial)
        point = self._explorer.explored(dict(parent.point), number, pins)
        return self._record.trial(self._record.add_continuing(self._explorer.space, point, continues))

    def _unfit(self, epoch: int, waiting: Collection[int], killed: Collection[int]) -> dict[int, str]:
        gone = replaced(self._record.trials) | set(killed)
        return {
            trial.number: group_at(trial.point, epoch, self._explorer.epochs)
            for trial in self._record.trials
            if trial.number not in gone and _is_unfit(trial, trial.number in waiting)
        }


def _is_unfit(trial: Trial, is_waiting: bool) -> bool:
    return not trial.is_feasible if is_waiting else trial.state in ("failed", "infeasible", *STOPPED)


def _read(epoch: int, kept: list[int], parents: list[tuple[int, int]]) -> Generation:
    return Generation(epoch=epoch, kept=tuple(kept), parents=dict(parents))
