"""The course of a study whose trials are looked up in a table in place of being trained."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tabulated import MANIFEST

from search_spaces.dimensions import Choice, Float
from search_spaces.space import SearchSpace
from study.search.limits import Limits
from study.search.pbt.explorer import Explorer
from study.search.pbt.generations import Generations
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Next
from study.search.trial_scheduler import TrialScheduler
from study.stopping.early_stopping import EarlyStopping, build_rules
from study.study_file.budget import Budget
from study.study_file.constraint import Constraint
from study.study_file.objective import Objective
from study.study_file.sampler import Sampler

SPACE = SearchSpace(
    name="table",
    about="",
    dimensions=(Float(name="learning_rate", low=1e-4, high=1e-1, log=True), Choice(name="batch_size", options=(32, 64))),
)
EPOCHS = 9


def make(
    folder: Path,
    *,
    rule: str = "none",
    retries: int = 2,
    epochs: int = EPOCHS,
    constraints: Sequence[str] = (),
    record: StudyRecord | None = None,
    **budget: Any,
) -> TrialScheduler:
    """The course of `record`, or of a new study in `folder`, or of the one that is there."""
    record = record or _record(folder, constraints)
    given = Budget(**{"trials": 6, "epochs": epochs, **budget})
    explorer = Explorer(space=SPACE, manifest=MANIFEST, epochs=epochs, seed=0, resample=0.25)
    return TrialScheduler(
        record=record,
        space=SPACE,
        seed=0,
        epochs=epochs,
        rule=build_rules(EarlyStopping(rule=rule, first_rung=0.3, protect_top=0), True),  # type: ignore[arg-type]
        limits=Limits.of(given, record, maximise=True, gpus_per_trial=1.0),
        folder=folder,
        retries=retries,
        generations=Generations(record, explorer, folder) if rule == "pbt" else None,
    )


def _record(folder: Path, constraints: Sequence[str]) -> StudyRecord:
    if (folder / "search.journal").exists():
        return StudyRecord.open(folder)
    objectives, bounds = (Objective(metric="accuracy"),), [Constraint.parse(text) for text in constraints]
    return StudyRecord.create(folder, "table", objectives=objectives, constraints=bounds, sampler=Sampler(rule="random"))


def epoch(chosen: Next, number: int, *, value: float | None = None, epochs: int = EPOCHS) -> dict[str, Any]:
    """What a trial's process tells of an epoch; later epochs and higher learning rates are better."""
    return {
        "outcome": "complete" if number == epochs else "going_on",
        "epoch": number,
        "value": float(chosen.point["learning_rate"]) * number if value is None else value,
        "metrics/accuracy": 0.5,
        "measures/parameters_million": 1.0,
        "seconds": 2.0,
        "run_id": None,
        "micro_batch": 32,
    }


def run(course: TrialScheduler, *, slots: int = 1, after: Callable[[Next, int], None] | None = None, tells_again: bool = True) -> None:
    """Runs the course to its end, `slots` trials at a time, each from its last recorded epoch, which it tells again, or the one after."""
    running: dict[int, tuple[Next, int]] = {}
    while not course.is_over:
        while len(running) < slots and (chosen := course.next_trial()) is not None:
            trial = course._record.trial(chosen.number)
            running[chosen.number] = (chosen, trial.last_epoch if tells_again and trial.values else trial.last_epoch + 1)
        for number, (chosen, at) in list(running.items()):
            if course.judge(number, epoch(chosen, at)):
                running[number] = (chosen, at + 1)
            else:
                del running[number]
            if after is not None:
                after(chosen, at)
    course.conclude()


def states(course: TrialScheduler) -> list[str]:
    return [trial.state for trial in course._record.trials]
