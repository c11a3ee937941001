"""Ray Tune's scheduler over the course of the study: what becomes of a trial that reported, or whose process died."""

from collections.abc import Callable
from typing import Any

from ray.exceptions import ActorDiedError, NodeDiedError
from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler

from study.search.course import Course


class CourseScheduler(FIFOScheduler):
    """Hands every epoch to the course, and stops the trials that should not go on where they are."""

    def __init__(self, course: Course, on_change: Callable[[int], None]) -> None:
        super().__init__()
        self._course = course
        self._on_change = on_change

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        """CONTINUE, or STOP for a trial that ended, pauses or broke."""
        number: int = trial.config["trial"]
        goes_on = self._course.judge(number, result)
        self._on_change(number)
        return str(self.CONTINUE if goes_on else self.STOP)

    def on_trial_error(self, tune_controller: Any, trial: RayTrial) -> None:
        """A process died, or a trial could not start."""
        number: int = trial.config["trial"]
        error = trial.get_pickled_error()
        self._course.break_off(number, f"its process died: {_first_line(error)}", counts=not _is_lost_node(error))
        self._on_change(number)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles what it may want to restore, and here the record is the state."""
        return {}


def _is_lost_node(error: Exception | None) -> bool:
    """Whether the machine went away, taken back or broken, and not the process alone."""
    if isinstance(error, NodeDiedError):
        return True
    return isinstance(error, ActorDiedError) and (error.preempted or "node has died" in str(error) or "node was terminated" in str(error))


def _first_line(error: Exception | None) -> str:
    return str(error).strip().split("\n")[0] if error is not None else "no reason known"
