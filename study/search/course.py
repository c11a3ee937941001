"""The course of a search: which trial starts or goes on next, and what becomes of one that reported, broke or was lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from search_spaces.space import Point, SearchSpace
from study.search.limits import Limits
from study.search.record import StudyRecord
from study.search.stopping.groups import group_at
from study.search.stopping.rule import GO_ON, StoppingRule, Verdict
from study.search.trial import Report, Trial
from study.start_points import start_points
from study.steering import Edit, edits, is_stopped, killed, pinned, steered_budget


@dataclass(frozen=True, kw_only=True)
class Next:
    """A trial to start, or to go on with from its checkpoint."""

    number: int
    point: Point
    attempt: int
    """How often it began before in this execution."""


class Course:
    """Decides by the record alone, so that a study that was killed goes on as one that was not. Knows nothing of Ray.

    Trials that the record holds as running when the course begins were cut off by the death of an earlier driver: they come first,
    under their own numbers. Not for several threads at once.
    """

    def __init__(
        self,
        *,
        record: StudyRecord,
        space: SearchSpace,
        seed: int,
        epochs: int,
        rule: StoppingRule,
        limits: Limits,
        folder: Path,
        retries: int,
    ) -> None:
        self._record = record
        self._space = space
        self._seed = seed
        self._epochs = epochs
        self._rule = rule
        self._limits = limits
        self._folder = folder
        self._retries = retries
        self._budget = limits.budget  # as the study file has it
        self._waiting: list[int] = []
        self._paused: set[int] = set()
        self._running: set[int] = set()
        self._attempts: dict[int, int] = {}
        self._points: dict[int, Point] = {}
        self._edits: tuple[Edit, ...] = ()
        self._num_edits_taken: int = record.facts.get("num_edits_taken", 0)
        limits.budget = steered_budget(limits.budget, edits(folder)[: self._num_edits_taken])
        for trial in record.trials:
            if trial.state != "waiting":
                self._points[trial.number] = trial.point
                rule.replay(trial.number, trial.values, epochs, partial(self._group, trial.number))
            if trial.state == "paused":
                self._paused.add(trial.number)
        for trial in record.trials:
            if trial.state == "running" and self._is_still_going(trial):
                self._waiting.append(trial.number)
        self.steer()

    @property
    def is_stopped(self) -> bool:
        """Whether somebody asked the study to stop."""
        return is_stopped(self._edits)

    @property
    def is_over(self) -> bool:
        """Whether nothing runs and nothing more will start."""
        return not self._running and (self.is_stopped or not self._may_go_on())

    def steer(self) -> None:
        """Takes in what was asked of the study since the last time."""
        self._edits = edits(self._folder)
        if len(self._edits) == self._num_edits_taken:
            return
        self._limits.budget = steered_budget(self._budget, self._edits)
        for edit in self._edits[self._num_edits_taken :]:
            if edit.kind == "enqueue":
                (start,) = start_points([edit.origin or dict(edit.point)], self._space, {})
                self._record.enqueue(self._space, start.point, edit.origin or f"enqueued by {edit.user}")
        self._num_edits_taken = len(self._edits)
        self._record.note(num_edits_taken=self._num_edits_taken)

    def next_trial(self) -> Next | None:
        """The trial that a free slot takes; None while there is none."""
        self.steer()
        if self.is_stopped or not self._may_go_on():
            return None
        promoted = self._promotable()
        if promoted is not None:
            self._paused.discard(promoted)
            self._record.unpause(promoted)
            return self._going(promoted)
        if self._waiting:
            return self._going(self._waiting.pop(0))
        if not self._limits.allow_another():
            return None
        asked = self._record.ask(self._space, self._seed, pinned(self._edits))
        if asked is None:
            return None
        number, self._points[asked[0]] = asked
        self._limits.num_started += 1
        return self._going(number)

    def judge(self, number: int, result: Mapping[str, Any]) -> bool:
        """Records what a trial's process told, and says whether the trial goes on there."""
        outcome = result["outcome"]
        if outcome == "broken":
            self.break_off(number, result["reason"])
            return False
        if outcome in ("failed", "infeasible"):
            self._end(number, outcome, result["reason"])
            return False
        verdict = self._report(number, result)
        self.steer()
        if outcome == "complete":
            self._end(number, "complete")
            return False
        if number in (by := killed(self._edits)):
            self._end(number, "pruned", f"killed by {by[number]}")
        elif (reason := self._limits.reason_to_end()) is not None:
            self._end(number, "pruned", reason)
        else:
            self._obey(number, verdict)
        if self.is_stopped:
            self._running.discard(number)  # the record has it as running: the next execution goes on with it
        return number in self._running

    def break_off(self, number: int, reason: str, *, counts: bool = True) -> None:
        """A trial's process died or broke: the trial goes on from its checkpoint, unless that happened too often.

        `counts` is False where the trial is not to blame, as its node was lost.
        """
        self._running.discard(number)
        if counts and self._record.note_retry(number, reason) > self._retries:
            self._end(number, "failed", f"{reason} (after {self._retries} retries)" if self._retries else reason)
        else:
            self._waiting.append(number)

    def conclude(self) -> None:
        """Ends the trials that still wait when the budget is spent; those of a study that was stopped go on waiting."""
        if self.is_stopped or self._may_go_on():
            return
        reason = self._limits.reason_to_end() or "the study's trials are spent"
        for number in sorted([*self._paused, *self._waiting]):
            self._end(number, "pruned", f"waited at epoch {max(self._record.trial(number).values, default=0)} when {reason}")
        self._paused.clear()
        self._waiting.clear()

    def _may_go_on(self) -> bool:
        if self._limits.reason_to_end() is not None:
            return False
        return bool(self._waiting) or self._may_ask() or self._promotable() is not None

    def _is_still_going(self, trial: Trial) -> bool:
        """Judges the last recorded epoch of a trial that was cut off: the driver may have died before it could obey the verdict."""
        if trial.values and (last := max(trial.values)) < self._epochs:
            self._obey(
                trial.number, self._rule.judge(trial.number, last, self._epochs, trial.values[last], self._group(trial.number, last))
            )
        return self._record.trial(trial.number).state == "running"

    def _promotable(self) -> int | None:
        is_closing = not (self._running or self._waiting or self._may_ask())
        return self._rule.next_promotion(self._paused, is_closing=is_closing)

    def _may_ask(self) -> bool:
        return self._limits.allow_another() and not self._record.is_exhausted(self._space, pinned(self._edits))

    def _going(self, number: int) -> Next:
        attempt = self._attempts.get(number, 0)
        self._attempts[number] = attempt + 1
        self._running.add(number)
        return Next(number=number, point=self._points[number], attempt=attempt)

    def _report(self, number: int, result: Mapping[str, Any]) -> Verdict:
        """Records an epoch and asks the rule, which must know of every epoch; one that was told before has been judged."""
        if result["epoch"] in self._record.trial(number).values:
            return GO_ON
        metrics = {key.removeprefix("metrics/"): value for key, value in result.items() if key.startswith("metrics/")}
        report = Report(epoch=result["epoch"], value=result["value"], metrics=metrics, seconds=result["seconds"], run_id=result["run_id"])
        self._record.report(number, report)
        if measures := {key.removeprefix("measures/"): value for key, value in result.items() if key.startswith("measures/")}:
            self._record.note_measures(number, measures)
        if result["micro_batch"] != self._record.trial(number).facts.get("micro_batch"):
            self._record.note_trial(number, micro_batch=result["micro_batch"])
        self._limits.count_epoch(result["seconds"])
        epoch: int = result["epoch"]
        return self._rule.judge(number, epoch, self._epochs, result["value"], self._group(number, epoch))

    def _obey(self, number: int, verdict: Verdict) -> None:
        if verdict.decision == "pause":
            self._running.discard(number)
            self._paused.add(number)
            self._record.pause(number)
        elif verdict.decision == "stop":
            self._end(number, "pruned", verdict.reason)

    def _group(self, number: int, epoch: int) -> str:
        return group_at(self._points[number], epoch, self._epochs)

    def _end(self, number: int, state: Any, reason: str | None = None) -> None:
        self._running.discard(number)
        self._record.finish(number, state, reason)
        self._limits.count_end(self._record.trial(number))
        self._record.note(seconds=self._limits.seconds)
