"""Further seeds: the best configurations of a search are trained again, by the same machinery, before one is
chosen.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from study.driver.progress import Progress
from study.evaluation.confirmation import Confirmation, configurations_to_confirm
from study.planning.plan import Plan
from study.planning.study_context import StudyContext
from study.search.record.checkpoints import delete_checkpoints
from study.search.record.driver_lock import OnPhase
from study.search.record.kept_weights import delete_weights
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.stopping.early_stopping import EarlyStopping
from study.study_file.budget import Budget, Confirm
from study.study_file.edits import Edit, read_edits
from study.tracking.study_run import StudyRun


def train_further_seeds(
    plan: Plan,
    wanted: Confirm,
    record: StudyRecord,
    run: StudyRun,
    context: StudyContext,
    on_phase: OnPhase,
    progress: Progress,
) -> tuple[Trial, ...]:
    """Trains what the confirmation still lacks, and returns the configurations that it is about, the best by
    the search first.

    Trainings that ended are never repeated, be it after an interruption or after the study was extended. The
    budget's hours do not count here. Raises StopRequestedError or KeyboardInterrupt, as `tune_study` does.
    """
    trials = configurations_to_confirm(record, wanted.top)
    confirmation = Confirmation.create(plan.folder, plan.spec.objective)
    confirmation.want(record, trials, wanted.seeds, plan.space)
    left = [trial for trial in confirmation.record.trials if not trial.has_ended]
    if left:
        # It has slots under the study's own name in the queue, and with its priority.
        confirmation.record.note(**{name: record.facts.get(name) for name in ("user", "priority")})
        progress.say(
            f"confirming the best {len(trials)} with {wanted.seeds} further seeds each: {len(left)} trainings"
        )
        _train(plan, confirmation, run, context, on_phase, progress)
    _delete_weights_of_others(confirmation, trials)
    return trials


def _train(
    plan: Plan,
    confirmation: Confirmation,
    run: StudyRun,
    context: StudyContext,
    on_phase: OnPhase,
    progress: Progress,
) -> None:
    from study.execution.tuning import tune_study

    record = confirmation.record
    spec = plan.spec.model_copy(
        update={
            "budget": Budget(trials=len(confirmation.wanted), epochs=plan.spec.budget.epochs),
            "early_stopping": EarlyStopping(rule="none", protect_top=0),
        }
    )
    context = replace(
        context,
        study_folder=str(confirmation.folder),
        confirmations=confirmation.wanted,
        is_resumed=True,
        pause_epochs=(),
    )
    with progress.watching(spec, record, confirmation.name, is_search=False) as on_change:
        changed = partial(_changed, confirmation, run, on_change)
        try:
            tune_study(spec, plan.space, record, context, partial(_edits_that_count, plan), changed, on_phase)
        finally:
            run.close_trials(record, confirmation.run_tags)


def _changed(
    confirmation: Confirmation, run: StudyRun, on_change: Callable[[int], None], number: int
) -> None:
    trial = confirmation.record.trial(number)
    if trial.has_ended:
        run.close_soon(trial, confirmation.name(number))
        delete_checkpoints(confirmation.folder, [number])
    on_change(number)


def _edits_that_count(plan: Plan) -> tuple[Edit, ...]:
    """The edits that count while the best configurations are trained again; the others are about the
    search.
    """
    return tuple(edit for edit in read_edits(plan.folder) if edit.kind in ("stop", "resume", "priority"))


def _delete_weights_of_others(confirmation: Confirmation, trials: tuple[Trial, ...]) -> None:
    """Of configurations that were confirmed before the study was extended, and are no longer among the
    best.
    """
    kept = {trial.number for trial in trials}
    delete_weights(
        confirmation.folder,
        [number for number, (confirmed, _) in enumerate(confirmation.wanted) if confirmed not in kept],
    )
