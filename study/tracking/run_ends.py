"""The true end of a trial's or a study's MLflow run, by the record: a process that died has not told it."""

import time

from study import names
from study.search.record.trial import Trial
from study.tracking.log_records import Ended

_STATUS = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "killed": "KILLED",
    "failed": "FAILED",
    "infeasible": "FAILED",
}


def end_of_trial(trial: Trial) -> Ended:
    """How the run of a trial ended; that of a trial which was cut off is KILLED, until the trial goes on."""
    if not trial.has_ended:
        return cut_off()
    tags: dict[str, str] = {names.STATE: trial.state}
    if trial.reason:
        tags[names.REASON] = trial.reason
    if trial.state == "pruned" and trial.values:
        tags[names.PRUNED_AT] = str(max(trial.values))
    return Ended(
        status=_STATUS[trial.state],
        tags=tags,
        milliseconds=round(trial.ended * 1000) if trial.ended else _now(),
    )


def cut_off() -> Ended:
    """The end of a run whose process is gone."""
    return Ended(status="KILLED", tags={names.STATE: "interrupted"}, milliseconds=_now())


def _now() -> int:
    return int(time.time() * 1000)
