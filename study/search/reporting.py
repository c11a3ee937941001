"""What a trial's process told of an epoch, on its way into the record."""

from collections.abc import Mapping
from typing import Any

from study.search.record.study_record import StudyRecord
from study.search.record.trial import Report


def record_epoch(record: StudyRecord, number: int, result: Mapping[str, Any]) -> bool:
    """Records an epoch and what came with it; False for one that was told before, which changes nothing."""
    if result["epoch"] in record.trial(number).values:
        return False
    metrics = {key.removeprefix("metrics/"): value for key, value in result.items() if key.startswith("metrics/")}
    report = Report(epoch=result["epoch"], value=result["value"], metrics=metrics, seconds=result["seconds"], run_id=result["run_id"])
    record.report(number, report)
    if measures := {key.removeprefix("measures/"): value for key, value in result.items() if key.startswith("measures/")}:
        record.note_measures(number, measures)
    if result["micro_batch"] != record.trial(number).facts.get("micro_batch"):
        record.note_trial(number, micro_batch=result["micro_batch"])
    return True
