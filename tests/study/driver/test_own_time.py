"""What a study takes beside its trials is in its record, and the next quote goes by it."""

import time

import pytest
from quoting import keep_speed, plan, quoted

from study.driver.own_time import note_own_time
from study.home import Home
from study.quote.earlier import BESIDE_FACT
from study.search.record.storage import SPEC_FILE
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.yaml_file import write_yaml


def test_a_slow_start_is_noted_and_quoted_next_time(home: Home) -> None:
    keep_speed(plan(home))
    before = quoted(plan(home)).search_seconds
    made = plan(home, study="before")
    made.folder.mkdir(parents=True)
    record = StudyRecord.create(made.folder, "before", objectives=made.spec.objectives)
    write_yaml(made.folder / SPEC_FILE, made.spec.to_dict())
    begun = time.time() - 600
    note_own_time(record, (), begun)
    assert BESIDE_FACT not in record.facts, "no trial has ended"
    record.ask(made.space, 0)
    record.report(0, EpochReport(epoch=1, value=0.5, metrics={}, seconds=100.0, run_id=None))
    record.finish(0, "complete")
    note_own_time(record, (), begun)
    assert record.facts[BESIDE_FACT]["start"] == pytest.approx(500, abs=30)
    assert 0 <= record.facts[BESIDE_FACT]["end"] < 30
    after = quoted(plan(home)).search_seconds
    assert before is not None
    assert after is not None
    assert after.expected - before.expected == pytest.approx(500 - 40, abs=60)
