"""Ray Tune's scheduler over the study's own: what becomes of a trial that reported, or whose process died."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler

from study.execution.failures import failure_cause, first_line, is_lost_node
from study.live.paces import OnReport
from study.search.record.trial_protocol import TrialConfig, TrialReport
from study.search.trial_scheduler import TrialScheduler

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class RayScheduler(FIFOScheduler):
    """Hands every report to the study's scheduler, and stops the trials that should not continue where they
    are.
    """

    def __init__(
        self,
        scheduler: TrialScheduler,
        on_change: Callable[[int], None],
        has_room: Callable[[], bool],
        gives_way: Callable[[int], bool],
        move: Callable[[int], None],
        on_report: OnReport,
    ) -> None:
        """`has_room` says whether another trial may start in place of one that ends, `gives_way` whether one
        that would continue pauses in favour of another study. `move` lets one go on elsewhere.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._scheduler = scheduler
        self._on_change = on_change
        self._has_room = has_room
        self._gives_way = gives_way
        self._move = move
        self._on_report = on_report

    def on_trial_result(
        self, tune_controller: "TuneController", trial: RayTrial, result: dict[str, Any]
    ) -> str:
        """CONTINUE, or STOP for a trial that ended, pauses or broke."""
        number, report = TrialConfig.from_config(trial.config).number, TrialReport.from_result(result)
        self._on_report(number, report)
        continues = self._scheduler.on_trial_result(number, report)
        if continues and report.leaves:
            self._move(number)
        continues = continues and not report.leaves and not self._gives_way(number)
        self._on_change(number)
        if not continues:
            # Ray Tune keeps the process for the next trial, and its CPUs and GPUs from other studies. A
            # process
            # that broke must end: a trial that it declined would be lost. Checked with Ray 2.60.
            keeps_process = report.state != "waiting" and not report.leaves and self._has_room()
            wrapper: Any = tune_controller
            wrapper._tune_controller._reuse_actors = keeps_process  # noqa: SLF001  there is no public switch
        return str(self.CONTINUE if continues else self.STOP)

    def on_trial_error(self, tune_controller: "TuneController", trial: RayTrial) -> None:
        """A process died, or a trial could not start."""
        number = TrialConfig.from_config(trial.config).number
        error = failure_cause(trial)
        reason = f"its process died: {first_line(error)}"
        self._scheduler.on_trial_error(number, reason, counts=not is_lost_node(error))
        self._on_change(number)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles what it may want to restore, and here the record is the state."""
        return {}
