"""What a person should think of first is told, each with a way out; a sound study hears nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from quoting import keep_speed, plan, quoted

from search_spaces.dimensions import Value
from study.home import Home
from study.planning.plan import Plan
from study.quote.case import Case
from study.quote.cautions import Caution, cautions_of
from study.search.record.storage import SPEC_FILE
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.yaml_file import write_yaml

SOUND = {"budget": {"trials": 40, "epochs": 20}}


def cautions(made: Plan) -> dict[str, Caution]:
    keep_speed(made)
    found = cautions_of(Case.of(made), quoted(made))
    for caution in found:
        assert caution.sentence.endswith("."), caution
        assert caution.way_out, caution
    return {caution.kind: caution for caution in found}


def with_findings(made: Plan, **changes: object) -> Plan:
    manifest = made.manifest
    return replace(
        made,
        manifest=replace(manifest, findings=replace(manifest.findings, **changes)),  # type: ignore[arg-type]
    )


def with_counts(made: Plan, split: str, counts: list[int]) -> Plan:
    manifest = made.manifest
    summary = replace(manifest.splits[split], num_by_class=tuple(counts), num_images=sum(counts))
    return replace(made, manifest=replace(manifest, splits={**manifest.splits, split: summary}))


def test_a_sound_study_hears_nothing(home: Home) -> None:
    assert cautions(plan(home, **SOUND)) == {}


def test_images_that_are_in_two_splits_or_under_two_classes(home: Home) -> None:
    made = with_findings(
        plan(home, **SOUND),
        num_duplicates_across={"train+validation": 270, "train+test": 0},
        num_label_conflicts=47,
    )
    found = cautions(made)
    assert "270 in train and validation" in found["duplicates"].sentence
    assert "test" not in found["duplicates"].sentence
    assert "study data add digits --replace" in found["duplicates"].way_out
    assert found["label_conflicts"].sentence.startswith("47 images stand under more than one class")


def test_classes_with_few_images_are_named(home: Home) -> None:
    counts = [200, 49, 3, 200, 200, 200, 10, 20, 200, 200]
    found = cautions(with_counts(plan(home, **SOUND), "train", counts))
    assert found["few_images"].sentence == (
        "Fewer than 50 images to train on: 2 (3), 6 (10), 7 (20) and 1 more."
    )
    part = cautions(plan(home, **SOUND, fix={"train_images": 300}))
    assert "few_images" in part, "the study leaves most images out"


@pytest.mark.parametrize(("metric", "is_blind"), [("accuracy", True), ("macro_f1", False)])
def test_a_metric_that_hardly_sees_a_class(home: Home, metric: str, is_blind: bool) -> None:
    made = plan(home, **SOUND, objective={"metric": metric})
    found = cautions(with_counts(made, "validation", [5, *[100] * 9]))
    assert ("blind_metric" in found) is is_blind
    if is_blind:
        assert "hardly sees class 0, which 0.6%" in found["blind_metric"].sentence
        assert "macro_f1" in found["blind_metric"].way_out


def test_few_trials_for_many_dimensions(home: Home) -> None:
    found = cautions(plan(home, budget={"trials": 12, "epochs": 20}))
    assert found["many_dimensions"].sentence.startswith("12 trials search 7 dimensions at once")
    assert "budget: {trials: 21}" in found["many_dimensions"].way_out


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"budget": {"trials": 40, "epochs": 1}}, "no_rung"),
        ({"budget": {"trials": 40, "epochs": 4}}, "early_rung"),
        ({"budget": {"trials": 3, "epochs": 20}}, "few_for_rungs"),
        ({"budget": {"trials": 5, "epochs": 20}, "early_stopping": "median"}, "few_for_rungs"),
    ],
)
def test_rungs_that_the_budget_has_no_room_for(home: Home, changes: dict[str, object], kind: str) -> None:
    assert kind in cautions(plan(home, **changes))
    assert kind not in cautions(plan(home, **{**changes, "early_stopping": "none"}))


def test_a_study_that_its_hours_or_epochs_cut_off(home: Home) -> None:
    found = cautions(plan(home, budget={"trials": 40, "epochs": 20, "hours": 0.02}))
    assert "0.02 hours end the study after about" in found["hours"].sentence
    found = cautions(plan(home, budget={"trials": 40, "epochs": 20, "total_epochs": 100}))
    assert "100 epochs end the study before its 40 trials do" in found["total_epochs"].sentence
    fitting = cautions(plan(home, budget={"trials": 40, "epochs": 20, "hours": 9, "total_epochs": 800}))
    assert "hours" not in fitting
    assert "total_epochs" not in fitting


def test_a_range_whose_best_end_nobody_has_looked_beyond(home: Home) -> None:
    end_study(home, "low-rates", lambda share: {"learning_rate": 3e-4 * 100 ** min(share + 0.5, 1.0)})
    found = cautions(plan(home, **SOUND))["range"]
    assert "The best trials of low-rates lie at the high end of learning_rate (0.03)" in found.sentence
    assert "extend: {learning_rate: …} with a high end beyond 0.03" in found.way_out
    narrowed = cautions(plan(home, **SOUND, narrow={"learning_rate": [3e-4, 3e-3]}))["range"]
    assert "outside of [0.0003, 0.003] log" in narrowed.sentence


def test_a_range_whose_best_lies_inside_is_no_matter(home: Home) -> None:
    end_study(home, "inside", lambda share: {"learning_rate": 3e-4 * 100 ** (share / 2)})
    assert "range" not in cautions(plan(home, **SOUND))


def end_study(home: Home, name: str, values: Callable[[float], dict[str, Value]]) -> None:
    """An ended study of 12 trials, each better than the one before; `values` gives some of a trial's values
    by its place, from 0 to 1.
    """
    made = plan(home, study=name)
    folder: Path = made.folder
    folder.mkdir(parents=True)
    record = StudyRecord.create(folder, name, objectives=made.spec.objectives)
    write_yaml(folder / SPEC_FILE, made.spec.to_dict())
    record.note(dataset_digest=made.manifest.digest)
    base: Mapping[str, Value] = Case.of(made).drawn[0].point
    for trial in range(12):
        record.enqueue(made.space, {**base, **values(trial / 11)}, "made up")
        record.ask(made.space, 0)
        for epoch in range(1, 21):
            record.report(
                trial,
                EpochReport(epoch=epoch, value=trial / 12, metrics={}, seconds=1.0, run_id=None),
            )
        record.finish(trial, "complete")
