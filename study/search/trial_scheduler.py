"""The scheduler of a search: which trial starts or continues next, and what becomes of one that reported,
broke or was lost.
"""

import time
from collections.abc import Callable
from functools import partial

from search_spaces.space import Point, SearchSpace
from study.names import trial_name
from study.search.limits import Limits
from study.search.pbt.generations import Generations
from study.search.record.study_record import StudyRecord
from study.search.record.time_book import TimeBook
from study.search.record.trial import STAYS, End, EpochReport, Trial
from study.search.record.trial_protocol import TrialConfig, TrialReport
from study.search.sampling.start_points import start_points
from study.stopping.decision import CONTINUE, Decision, Generation
from study.stopping.groups import group_at
from study.stopping.rule_set import RuleSet
from study.study_file.edits import Edit, extended_budget, is_stopped, killed, last_priority, pinned


class TrialScheduler:
    """Decides by the record alone, so that a study that was killed goes on as one that was not.

    Knows nothing of Ray.

    `restore` comes first. Not for several threads at the same time.
    """

    def __init__(
        self,
        *,
        record: StudyRecord,
        space: SearchSpace,
        seed: int,
        epochs: int,
        rules: RuleSet,
        limits: Limits,
        edits: Callable[[], tuple[Edit, ...]],
        retries: int,
        generations: Generations | None = None,
        on_change: Callable[[int], None] = lambda number: None,
    ) -> None:
        """`edits` reads all edits of the study. `generations` are those of a rule that has a population.

        `on_change` is called with the number of each trial that begins or ends without a report of its own
        process.
        """
        self._record = record
        self._time = TimeBook(record)
        self._space = space
        self._seed = seed
        self._epochs = epochs
        self._rules = rules
        self._limits = limits
        self._budget = limits.budget  # as the study file has it
        self._read_edits = edits
        self._retries = retries
        self._generations = generations
        self._on_change = on_change
        self._edits: tuple[Edit, ...] = ()
        self._num_edits_taken = 0
        self._enqueued_edits: set[int] = set()
        self._waiting: list[int] = []
        self._paused: set[int] = set()
        self._running: set[int] = set()
        self._giving_way: set[int] = set()
        """Of the running ones, those that pause with their next epoch."""
        self._attempts: dict[int, int] = {}
        self._points: dict[int, Point] = {}

    def restore(self) -> None:
        """Takes up the search where the record has it, and the edits that came since.

        Trials that the record holds as running were cut off by the death of an earlier driver: they come
        first, under their own numbers.
        """
        self._edits = self._read_edits()
        self._num_edits_taken = self._record.facts.get("num_edits_taken", 0)
        self._enqueued_edits = {trial.facts["edit"] for trial in self._record.trials if "edit" in trial.facts}
        self._limits.budget = extended_budget(self._budget, self._edits[: self._num_edits_taken])
        for trial in self._record.trials:
            if trial.state != "waiting":
                self._points[trial.number] = trial.point
                self._rules.replay(
                    trial.number, trial.values, self._epochs, partial(self._group, trial.number)
                )
            if trial.state == "paused" and not trial.gave_way:
                self._paused.add(trial.number)
        if self._generations is not None and self._generations.last is not None:
            self._bring_about(self._generations, self._generations.last)
            self._waiting.clear()
        for trial in self._record.trials:
            if trial.gave_way or (trial.state == "running" and self._continues_after_restart(trial)):
                self._waiting.append(trial.number)
        self.take_edits()

    @property
    def is_stopped(self) -> bool:
        """Whether somebody asked the study to stop."""
        return is_stopped(self._edits)

    @property
    def is_over(self) -> bool:
        """Whether nothing runs and nothing more will start."""
        return not self._running and (self.is_stopped or not self._may_go_on())

    @property
    def last_priority(self) -> Edit | None:
        """The edit that gave the study its priority; None where it has that of its beginning."""
        return last_priority(self._edits)

    @property
    def num_more(self) -> int:
        """Trials that could start or go on beside those that run, if there were slots for them."""
        if self.is_stopped or self._limits.reason_to_end() is not None:
            return 0
        num_new = self._limits.num_left if self._may_ask() else 0
        return len(self._waiting) + num_new + (self._trial_to_unpause() is not None)

    def last_epoch(self, number: int) -> int:
        """How far a trial has come."""
        return self._record.trial(number).last_epoch

    def take_edits(self) -> None:
        """Takes in the edits of the study since the last time."""
        self._edits = self._read_edits()
        if len(self._edits) == self._num_edits_taken:
            return
        self._limits.budget = extended_budget(self._budget, self._edits)
        for number, edit in enumerate(self._edits):
            # The driver may have died between a trial's coming into the record and the note that its edit was
            # taken.
            if (
                number >= self._num_edits_taken
                and edit.kind == "enqueue"
                and number not in self._enqueued_edits
            ):
                (start,) = start_points([edit.origin or dict(edit.point)], self._space, {})
                self._record.enqueue(
                    self._space, start.point, edit.origin or f"enqueued by {edit.user}", edit=number
                )
        self._num_edits_taken = len(self._edits)
        self._record.note(num_edits_taken=self._num_edits_taken)

    def next_trial(self) -> TrialConfig | None:
        """The trial that a free slot takes; None while there is none."""
        self.take_edits()
        if self.is_stopped or not self._may_go_on():
            return None
        if self._generations is not None and (generation := self._next_generation()) is not None:
            self._generations.note(generation)
            self._bring_about(self._generations, generation)
        unpaused = self._trial_to_unpause()
        if unpaused is not None:
            self._paused.discard(unpaused)
            self._record.unpause(unpaused)
            return self._hand_out(unpaused)
        if self._waiting:
            waited = self._waiting.pop(0)
            if self._record.trial(waited).gave_way:
                self._record.unpause(waited)
            return self._hand_out(waited)
        if not self._limits.allow_another():
            return None
        drawn = self._record.ask(self._space, self._seed, pinned(self._edits))
        if drawn is None:
            return None
        number, self._points[drawn[0]] = drawn
        self._limits.num_started += 1
        return self._hand_out(number)

    def on_trial_result(self, number: int, report: TrialReport) -> bool:
        """Records what a trial's process reported, and says whether the trial continues there."""
        is_repeated = report.epoch is not None and report.epoch.epoch in self._record.trial(number).values
        self._time.take(number, report, is_repeated=is_repeated)
        if report.state == "waiting":
            self.on_trial_error(number, report.reason or "")
            return False
        if report.state in ("failed", "infeasible"):
            self._end(number, report.state, report.reason)
            return False
        decision = CONTINUE if report.epoch is None else self._take_epoch(number, report.epoch, report)
        self.take_edits()
        if report.state == "complete":
            self._end(number, "complete")
            return False
        if number in (by := killed(self._edits)):
            self._end(number, "killed", f"killed by {by[number]}")
        elif (reason := self._limits.reason_to_end()) is not None:
            self._end(number, "pruned", reason)
        else:
            self._apply(number, decision)
        if self.is_stopped:
            self._running.discard(number)  # the record has it as running: the next execution goes on with it
            self._time.close(number)
        return number in self._running

    def gives_way(self, number: int, num_kept: int | None) -> bool:
        """Whether a trial that has just reported, and would continue, pauses, as the study keeps `num_kept`
        slots.

        Those that have come least far pause, the newest first, each with its next epoch. They go on from
        their checkpoints, before any new trial. None of `num_kept` keeps all slots.
        """
        self._giving_way = self._to_give_way(num_kept)
        if number not in self._giving_way:
            return False
        self._giving_way.discard(number)
        self._running.discard(number)
        self._waiting.append(number)
        self._time.close(number)
        self._record.pause(number, gives_way=True)
        return True

    def move(self, number: int) -> None:
        """Lets a trial that has just reported, and would continue, pause until another machine has room for
        it, where it goes on from its checkpoint before any other trial.
        """
        self._giving_way.discard(number)
        self._running.discard(number)
        self._waiting.insert(0, number)
        self._time.close(number)
        self._record.pause(number, gives_way=True)

    def on_trial_error(self, number: int, reason: str, *, counts: bool = True) -> None:
        """A trial's process died or broke: the trial goes on from its checkpoint, unless that happened too
        often.

        `counts` is False where the trial is not to blame, as its node was lost.
        """
        if number in self._paused or number in self._waiting:
            return  # it has left its process, with a checkpoint
        self._running.discard(number)
        self._time.close(number)
        if counts and self._record.note_retry(number, reason) > self._retries:
            self._end(
                number, "failed", f"{reason} (after {self._retries} retries)" if self._retries else reason
            )
        else:
            self._waiting.append(number)

    def conclude(self) -> None:
        """Ends the trials that still wait when the budget is spent; those of a study that was stopped go on
        waiting.
        """
        if self.is_stopped or self._may_go_on():
            return
        reason = self._limits.reason_to_end() or "the study's trials are spent"
        for number in sorted([*self._paused, *self._waiting]):
            self._end(
                number, "pruned", f"waited at epoch {self._record.trial(number).last_epoch} when {reason}"
            )
            self._on_change(number)
        self._paused.clear()
        self._waiting.clear()

    def _may_go_on(self) -> bool:
        if self._limits.reason_to_end() is not None:
            return False
        return (
            bool(self._waiting)
            or self._may_ask()
            or self._trial_to_unpause() is not None
            or self._next_generation() is not None
        )

    def _continues_after_restart(self, trial: Trial) -> bool:
        """Decides on the last recorded epoch of a trial that was cut off: its driver may have died before it
        could act on it.
        """
        if self._generations is not None and self._generations.let_go_on(trial.number, trial.last_epoch):
            return True
        if trial.values and (last := max(trial.values)) < self._epochs:
            self._apply(trial.number, self._decide(trial.number, last, trial.values[last]))
        return self._record.trial(trial.number).state == "running"

    def _to_give_way(self, num_kept: int | None) -> set[int]:
        """The running trials that pause; those that were chosen before stay chosen while it takes as many."""
        num = 0 if num_kept is None else max(len(self._running) - num_kept, 0)
        chosen = self._giving_way & self._running
        ranked = sorted(
            self._running,
            key=lambda number: (number not in chosen, self._record.trial(number).last_epoch, -number),
        )
        return set(ranked[:num])

    def _trial_to_unpause(self) -> int | None:
        return self._rules.trial_to_unpause(self._paused, is_closing=self._is_quiet())

    def _next_generation(self) -> Generation | None:
        if self._generations is None or not self._paused or not self._is_quiet():
            return None
        return self._generations.next(self._rules, self._paused, killed(self._edits))

    def _bring_about(self, generations: Generations, generation: Generation) -> None:
        """Lets a generation begin, or what a driver that died left of it: what has begun, or ended, stays as
        it is.
        """
        children = generations.children(generation, pinned(self._edits))
        changed = [child.number for child in children]
        for place, child in zip(generation.parents, children, strict=True):
            self._points[child.number] = child.point
            self._paused.discard(place)
            if not self._record.trial(place).has_ended:
                self._end(
                    place, "pruned", f"replaced by {trial_name(child.number)} at epoch {generation.epoch}"
                )
                changed.append(place)
        kept = generations.let_go(generation, self._paused)
        self._paused -= kept
        self._waiting = sorted([*self._waiting, *kept, *(child.number for child in children)])
        for number in changed:
            self._on_change(number)

    def _is_quiet(self) -> bool:
        """Whether no trial runs or is about to, and none can start."""
        return not (self._running or self._waiting or self._may_ask())

    def _may_ask(self) -> bool:
        return self._limits.allow_another() and not self._record.is_exhausted(
            self._space, pinned(self._edits)
        )

    def _hand_out(self, number: int) -> TrialConfig:
        attempt = self._attempts.get(number, 0)
        self._attempts[number] = attempt + 1
        self._running.add(number)
        self._time.hand_out(number)
        begun = self._record.trial(number).continues
        return TrialConfig(
            number=number,
            point=self._points[number],
            attempt=attempt,
            parent=None if begun is None else begun.trial,
            parent_epoch=0 if begun is None else begun.epoch,
        )

    def _take_epoch(self, number: int, epoch: EpochReport, report: TrialReport) -> Decision:
        """Records an epoch and asks the rules, which must know of every epoch; one that is recorded already
        was decided on.
        """
        if epoch.epoch in self._record.trial(number).values:
            return CONTINUE
        self._note_report(number, epoch, report)
        self._limits.count_epoch(epoch.seconds)
        return self._decide(number, epoch.epoch, epoch.value)

    def _note_report(self, number: int, epoch: EpochReport, report: TrialReport) -> None:
        self._record.report(number, epoch)
        if report.measures:
            self._record.note_measures(number, report.measures)
        if report.micro_batch != self._record.trial(number).facts.get("micro_batch"):
            self._record.note_trial(number, micro_batch=report.micro_batch)
        stays = self._record.trial(number).facts.get(STAYS, [])
        if report.place is not None and (not stays or stays[-1]["place"] != report.place):
            stay = {"place": report.place, "since": time.time() - epoch.seconds}
            self._record.note_trial(number, **{STAYS: [*stays, stay]})

    def _decide(self, number: int, epoch: int, value: float) -> Decision:
        return self._rules.on_epoch(number, epoch, self._epochs, value, self._group(number, epoch))

    def _apply(self, number: int, decision: Decision) -> None:
        if decision.action == "pause":
            self._running.discard(number)
            self._paused.add(number)
            self._time.close(number)
            self._record.pause(number)
        elif decision.action == "stop":
            self._end(number, "pruned", decision.reason)

    def _group(self, number: int, epoch: int) -> str:
        return group_at(self._points[number], epoch, self._epochs)

    def _end(self, number: int, state: End, reason: str | None = None) -> None:
        self._running.discard(number)
        self._time.close(number)
        self._record.finish(number, state, reason)
        self._limits.count_end(self._record.trial(number))
        self._record.note(seconds=self._limits.seconds)
