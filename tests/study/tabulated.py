"""A record whose trials are looked up in a table in place of being trained."""

from collections.abc import Callable, Sequence
from pathlib import Path

from search_spaces.dimensions import Choice, Float, Int, one_of
from search_spaces.space import Point, SearchSpace
from study.search.record.study_record import StudyRecord
from study.search.record.trial import End, EpochReport
from study.study_file.constraint import Constraint
from study.study_file.objective import Objective
from study.study_file.sampler import Sampler
from trainables.datasets.manifest import Findings, Manifest, SplitSummary

MANIFEST = Manifest(
    name="table",
    digest="0" * 64,
    classes=("rare", "common"),
    height=8,
    width=8,
    channels=1,
    pixel_mean=(0.5,),
    pixel_std=(0.2,),
    splits={"train": SplitSummary(num_images=100, num_by_class=(10, 90), digest="0" * 64, origin="given")},
    findings=Findings(num_duplicates_within={}, num_duplicates_across={}, num_label_conflicts=0, skipped={}),
    options={},
    source="made up",
    licence=None,
    added="2026-11-21T00:00:00Z",
)
"""Of a dataset that is trained on in a table only."""
RULES = ("tpe", "random", "grid", "quasi_random", "gp", "cma_es", "nsga2")

CONDITIONAL = SearchSpace(
    name="conditional",
    about="",
    dimensions=(
        Choice(name="optimizer", options=("sgd", "adam")),
        Float(name="learning_rate", low=1e-4, high=1e-1, log=True, when={"optimizer": one_of("sgd")}),
        Float(name="learning_rate", low=1e-5, high=1e-2, log=True, when={"optimizer": one_of("adam")}),
        Float(name="dropout", low=0.0, high=0.5),
        Int(name="freeze_depth", low=0, high=4),
    ),
)


def make_record(
    folder: Path,
    *objectives: str,
    rule: str = "tpe",
    constraints: Sequence[str] = (),
    storage_url: str | None = None,
) -> StudyRecord:
    """A new record; its one objective is accuracy where none is named."""
    folder.mkdir(parents=True, exist_ok=True)
    return StudyRecord.create(
        folder,
        "s",
        objectives=[Objective(metric=name) for name in objectives or ("accuracy",)],
        constraints=[Constraint.parse(text) for text in constraints],
        sampler=Sampler(rule=rule),  # type: ignore[arg-type]
        storage_url=storage_url,
    )


def worth(point: Point) -> float:
    """An accuracy in [0, 1] that depends on every value."""
    rate = float(point.get("learning_rate", 1e-3))
    return 1 / (
        1
        + abs(rate - 3e-3) * 100
        + float(point.get("dropout", 0.0))
        + 0.1 * float(point.get("freeze_depth", 0))
    )


def end_trial(
    record: StudyRecord, number: int, *values: float, state: End = "complete", **measures: float
) -> None:
    """Reports the values, notes the measures and ends the trial."""
    if measures:
        record.note_measures(number, measures)
    for epoch, value in enumerate(values, start=1):
        metrics = {"accuracy": value, "macro_f1": value, "log_loss": 1 - value}
        record.report(number, EpochReport(epoch=epoch, value=value, metrics=metrics, seconds=1.0, run_id="r"))
    record.finish(number, state, None if state == "complete" else "because")


def run_trials(
    record: StudyRecord,
    space: SearchSpace,
    num_trials: int,
    seed: int = 7,
    measure: Callable[[Point], dict[str, float]] | None = None,
) -> list[Point]:
    """One trial at a time, ended in all the ways that there are."""
    points: list[Point] = []
    for _ in range(num_trials):
        asked = record.ask(space, seed)
        if asked is None:
            break
        number, point = asked
        value = worth(point)
        states: dict[int, End] = {3: "pruned", 5: "failed", 7: "infeasible"}
        end_trial(
            record,
            number,
            value / 2,
            value,
            state=states.get(number % 8, "complete"),
            **(measure(point) if measure else {}),
        )
        points.append(point)
    return points
