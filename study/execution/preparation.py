"""Preparing the trials of a study, once it is known where they run."""

from collections.abc import Callable, Mapping

from cluster.connection import is_shared
from study.names import gpu_share_tags
from study.planning.plan import Plan
from study.planning.study_context import StudyContext
from study.provenance import provenance_tags
from study.search.record.checkpoints import SECONDS_BETWEEN_CHECKPOINTS
from study.search.record.driver_lock import OnPhase
from study.search.record.study_record import StudyRecord
from study.tracking.flushing import OUTBOX_FOLDER
from study.tracking.study_run import StudyRun
from trainables.datasets.published import published_address


def prepare_trials(
    plan: Plan,
    record: StudyRecord,
    run: StudyRun,
    weights: Mapping[str, str],
    say: Callable[[str], object],
    on_phase: OnPhase,
    *,
    is_resumed: bool,
) -> StudyContext:
    """Decides what each trial gets of the GPUs, which may take measurements there, notes it in MLflow, and
    returns the trials' context. `on_phase` is told where that waits for a machine.

    Raises SpecError if no machine of the cluster can hold a trial, StopRequestedError if somebody stops the
    study.
    """
    from study.execution.gpu_sharing import decide_gpu_share

    share = decide_gpu_share(plan, record, say, on_phase)
    run.tag(gpu_share_tags(share.gpus_per_trial, share.reason))
    spec = plan.spec
    return StudyContext(
        study=spec.study,
        study_folder=str(plan.folder),
        log_folder=str(plan.folder / OUTBOX_FOLDER),
        dataset_folder=str(plan.dataset_folder),
        dataset_address=published_address(plan.dataset_folder) if is_shared() else None,
        metric=spec.objective.metric,
        maximise=spec.objective.maximise,
        epochs=spec.budget.epochs,
        seed=spec.seed,
        num_folds=spec.num_folds,
        cpus=spec.resources.cpus_per_trial,
        gpus=share.gpus_per_trial,
        gpu_overhead_bytes=share.overhead_bytes,
        weights=dict(weights),
        tracking_uri=plan.home.tracking_uri,
        experiment_id=run.experiment_id,
        parent_run_id=run.run_id,
        is_resumed=is_resumed,
        seconds_between_checkpoints=SECONDS_BETWEEN_CHECKPOINTS,
        pause_epochs=spec.early_stopping.pause_epochs(spec.budget.epochs),
        measures_latency="latency_ms"
        in {*(one.metric for one in spec.objectives), *(constraint.name for constraint in spec.constraints)},
        tags=provenance_tags(),
    )
