"""The search of a study whose trials are looked up in a table in place of being trained."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tabulated import MANIFEST

from search_spaces.dimensions import Choice, Float
from search_spaces.space import SearchSpace
from study.search.limits import Limits
from study.search.pbt.explorer import Explorer
from study.search.pbt.generations import Generations
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.search.record.trial_protocol import TrialConfig, TrialReport
from study.search.trial_scheduler import TrialScheduler
from study.stopping.early_stopping import EarlyStopping, build_rules
from study.study_file.budget import Budget
from study.study_file.constraint import Constraint
from study.study_file.edits import read_edits
from study.study_file.objective import Objective
from study.study_file.sampler import Sampler

SPACE = SearchSpace(
    name="table",
    about="",
    dimensions=(
        Float(name="learning_rate", low=1e-4, high=1e-1, log=True),
        Choice(name="batch_size", options=(32, 64)),
    ),
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
    """The search of `record`, or of a new study in `folder`, or of the one that is there."""
    record = record or _record(folder, constraints)
    given = Budget(**{"trials": 6, "epochs": epochs, **budget})
    explorer = Explorer(space=SPACE, manifest=MANIFEST, epochs=epochs, seed=0, resample=0.25)
    scheduler = TrialScheduler(
        record=record,
        space=SPACE,
        seed=0,
        epochs=epochs,
        rules=build_rules(EarlyStopping(rule=rule, first_rung=0.3, protect_top=0), True),  # type: ignore[arg-type]
        limits=Limits.of(given, record, maximise=True, gpus_per_trial=1.0),
        edits=partial(read_edits, folder),
        retries=retries,
        generations=Generations(record, explorer, folder) if rule == "pbt" else None,
    )
    scheduler.restore()
    return scheduler


def _record(folder: Path, constraints: Sequence[str]) -> StudyRecord:
    if (folder / "search.journal").exists():
        return StudyRecord.open(folder)
    objectives, bounds = (Objective(metric="accuracy"),), [Constraint.parse(text) for text in constraints]
    return StudyRecord.create(
        folder, "table", objectives=objectives, constraints=bounds, sampler=Sampler(rule="random")
    )


def epoch(
    trial: TrialConfig, number: int, *, value: float | None = None, epochs: int = EPOCHS
) -> TrialReport:
    """What a trial's process reports of an epoch; later epochs and higher learning rates are better."""
    value = float(trial.point["learning_rate"]) * number if value is None else value
    return TrialReport(
        state="complete" if number == epochs else "running",
        epoch=EpochReport(epoch=number, value=value, metrics={"accuracy": 0.5}, seconds=2.0, run_id=None),
        micro_batch=32,
        measures={"parameters_million": 1.0},
    )


def run(
    scheduler: TrialScheduler,
    *,
    slots: int = 1,
    after: Callable[[TrialConfig, int], None] | None = None,
    tells_again: bool = True,
) -> None:
    """Runs a search to its end, `slots` trials at a time, each from its last recorded epoch, reported again,
    or the one after.
    """
    running: dict[int, tuple[TrialConfig, int]] = {}
    while not scheduler.is_over:
        while len(running) < slots and (chosen := scheduler.next_trial()) is not None:
            trial = scheduler._record.trial(chosen.number)
            running[chosen.number] = (
                chosen,
                trial.last_epoch if tells_again and trial.values else trial.last_epoch + 1,
            )
        for number, (chosen, at) in list(running.items()):
            if scheduler.on_trial_result(number, epoch(chosen, at)):
                running[number] = (chosen, at + 1)
            else:
                del running[number]
            if after is not None:
                after(chosen, at)
    scheduler.conclude()


def states(scheduler: TrialScheduler) -> list[str]:
    return [trial.state for trial in scheduler._record.trials]
