"""What the trials of a study are told, once it is known where they run."""

from collections.abc import Callable, Mapping

from cluster.connection import is_shared
from study.names import placement_tags
from study.planning.plan import Plan
from study.provenance import provenance_tags
from study.search.record.checkpoints import SECONDS_BETWEEN_CHECKPOINTS
from study.search.record.study_record import StudyRecord
from study.search.trial_protocol import Assignment
from study.tracking.flushing import OUTBOX_FOLDER
from study.tracking.study_run import StudyRun
from trainables.datasets.published import published_address


def assign(
    plan: Plan, record: StudyRecord, run: StudyRun, weights: Mapping[str, str], say: Callable[[str], object], *, is_resumed: bool
) -> Assignment:
    """Places the study's trials on the connected cluster, which may measure what they take, and notes that in MLflow; their assignment.

    Raises SpecError if no machine of the cluster can hold a trial.
    """
    from study.execution.gpu_sharing import place

    placement = place(plan, record, say)
    run.tag(placement_tags(placement.gpus_per_trial, placement.reason))
    spec = plan.spec
    return Assignment(
        study=spec.study,
        study_folder=str(plan.folder),
        log_folder=str(plan.folder / OUTBOX_FOLDER),
        dataset_folder=str(plan.dataset_folder),
        dataset_address=published_address(plan.dataset_folder) if is_shared() else None,
        metric=spec.objective.metric,
        maximise=spec.objective.maximise,
        epochs=spec.budget.epochs,
        seed=spec.seed,
        cpus=spec.resources.cpus_per_trial,
        gpus=placement.gpus_per_trial,
        gpu_overhead_bytes=placement.overhead_bytes,
        weights=dict(weights),
        tracking_uri=plan.home.tracking_uri,
        experiment_id=run.experiment_id,
        parent_run_id=run.run_id,
        is_resumed=is_resumed,
        seconds_between_checkpoints=0.0 if spec.early_stopping.rule in ("asha_pause", "pbt") else SECONDS_BETWEEN_CHECKPOINTS,
        measures_latency="latency_ms" in {*(one.metric for one in spec.objectives), *(bound.name for bound in spec.bounds)},
        tags=provenance_tags(),
    )
