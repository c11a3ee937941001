"""Ray Tune's scheduler over the study's record: every epoch is recorded, then judged."""

from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler

from study.search.halving import Halving
from study.search.limits import Limits
from study.search.record import Report, StudyRecord


class RecordScheduler(FIFOScheduler):
    """Records each epoch as it arrives, ends trials that completed or failed, and stops those that fall behind.

    Rungs are rebuilt from the record when it is made, so that a resumed study stops the trials an uninterrupted one would.
    """

    def __init__(self, record: StudyRecord, halving: Halving | None, limits: Limits, on_change: Callable[[int], None]) -> None:
        super().__init__()
        self._record = record
        self._halving = halving
        self._limits = limits
        self._on_change = on_change
        if halving is not None:
            for trial in record.trials:
                halving.replay(trial.number, trial.values)

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        """CONTINUE, or STOP for a trial that ended or is not worth going on."""
        number: int = trial.config["trial"]
        decision = self._judge(number, result)
        self._on_change(number)
        return decision

    def _judge(self, number: int, result: dict[str, Any]) -> str:
        if result["outcome"] == "failed":
            self._record.finish(number, "failed", result["reason"])
            return self.STOP
        epoch = result["epoch"]
        self._record.report(number, _report(result))
        if result["outcome"] == "complete":
            self._record.finish(number, "complete")
            return self.STOP
        if self._limits.is_time_up():
            self._record.finish(number, "pruned", f"the study's hours ended at epoch {epoch}")
            return self.STOP
        if self._halving is None or self._halving.goes_on(number, epoch, self._record.best_value(number, up_to=epoch)):
            return self.CONTINUE
        self._record.finish(number, "pruned", f"behind the others at epoch {epoch}")
        return self.STOP

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles what it may want to restore, and here the record is the state."""
        return {}


def _report(result: dict[str, Any]) -> Report:
    metrics = {key.removeprefix("metrics/"): value for key, value in result.items() if key.startswith("metrics/")}
    return Report(epoch=result["epoch"], value=result["value"], metrics=metrics, seconds=result["seconds"], run_id=result["run_id"])
