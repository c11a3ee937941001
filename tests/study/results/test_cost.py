"""What a study cost: on which devices, what early stopping saved of it, what failures wasted."""

from pathlib import Path

import pytest
from tabulated import CONDITIONAL, end_trial, make_record

from study.results.cost import Cost


def test_what_was_spent_saved_and_wasted(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    for values, state in (((0.5,) * 4, "complete"), ((0.2,) * 1, "pruned"), ((0.1,) * 2, "failed")):
        number, _ = record.ask(CONDITIONAL, seed=0) or pytest.fail("there is room")
        end_trial(record, number, *values, state=state)  # type: ignore[arg-type]
    pace = record.trials[0].seconds / 4
    record.note(gpus_per_trial=0.5)
    receipt = Cost.of(record, 4, tmp_path)
    assert receipt.sums == pytest.approx(
        {
            "seconds": 7 * pace,
            "gpu_seconds": 3.5 * pace,
            "saved_seconds": 3 * pace,
            "wasted_seconds": 2 * pace,
        },
        abs=0.01,
    )
    assert [(item["name"], item["state"]) for item in receipt.to_dict()["trainings"]] == [
        ("trial-0000", "complete"),
        ("trial-0001", "pruned"),
        ("trial-0002", "failed"),
    ]
