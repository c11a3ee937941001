"""Where a study stands, told to those who do not watch it: the queue of a cluster, and a person."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.connection import is_shared
from cluster.slot_queue import tell_end
from study.driver.notice import BestSoFar, Notice, NoticeKind
from study.driver.notices import Notices
from study.errors import StopRequestedError, TrackingError
from study.names import trial_name
from study.number_text import number_text
from study.results.study_result import StudyResult
from study.search.record.driver_lock import Phase
from study.search.record.trial import Trial
from study.study_file.study_spec import StudySpec


class StudyNotices:
    """The notices of one study, and its end for the queue's gauges."""

    def __init__(self, spec: StudySpec, user: str, folder: Path, say: Callable[[str], object]) -> None:
        """Raises SpecError where `notify`, STUDY_NOTIFY or what belongs to it is wrong."""
        self._study = spec.study
        self._metric = spec.objective.metric
        self._user = user
        self._folder = folder
        self._notices = Notices.of(spec.notify, say)

    def note_best(self, trial: Trial) -> None:
        """A trial has ended better than all before it; returns at once."""
        if trial.value is None:
            return
        name = trial_name(trial.number)
        best = BestSoFar(trial=name, metric=self._metric, value=trial.value, point=dict(trial.point))
        text = f"has a new best: {self._metric} {number_text(trial.value)} in validation ({name})"
        self._notices.tell_best(self._notice("best", "running", text, best))

    def note_phase(self, phase: Phase, why: str | None) -> None:
        """What the study does now; a long wait is told, with its reason."""
        if phase != "queued":
            self._notices.end_wait()
        elif why is not None:
            self._notices.wait(self._notice("wait", "queued", why))

    @contextmanager
    def end_told(self) -> Iterator[None]:
        """Tells how the study ended, once the block ends; Ctrl-C is told to nobody but the queue."""
        try:
            yield
        except BaseException as error:
            self._notices.end()
            state = _state(error)
            _tell_queue(state)
            if not isinstance(error, KeyboardInterrupt):
                why = str(error).splitlines()[:1] or [type(error).__name__]
                kind: NoticeKind = "end" if state == "stopped" else "failure"
                self._notices.send(self._notice(kind, state, f"is {state}: {why[0]}"))
            raise
        self._notices.end()
        _tell_queue("finished")
        result = _result_text(StudyResult.read(self._folder))
        self._notices.send(self._notice("end", "finished", f"finished: {result}"))

    def _notice(self, kind: NoticeKind, state: str, says: str, best: BestSoFar | None = None) -> Notice:
        text = f"study {self._study} ({self._user}, on {socket.gethostname()}) {says}"
        return Notice(text=text, study=self._study, event=kind, state=state, user=self._user, best=best)


def _state(error: BaseException) -> str:
    if isinstance(error, StopRequestedError):
        return "stopped"
    return "interrupted" if isinstance(error, KeyboardInterrupt | TrackingError) else "failed"


def _tell_queue(state: str) -> None:
    if is_shared():
        tell_end(state)


def _result_text(result: StudyResult) -> str:
    parts = [result.progress]
    if result.best is not None and result.best.value is not None:
        metric = result.spec.objective.metric
        parts.append(f"best {metric} {number_text(result.best.value)} in validation")
    if result.final is not None:
        accuracy = result.final.test.metrics["accuracy"].value
        parts.append(f"accuracy {number_text(accuracy)} on the test split")
        parts.append(f"registered as {result.final.model} version {result.final.version}")
    return "; ".join(parts)
