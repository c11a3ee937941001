"""One Ray Tune execution of a study: trials start, report, end or are stopped until the record says that the budget is spent."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.connection import capacity
from search_spaces.space import SearchSpace
from study.errors import StudyError
from study.execution.assignment import Assignment
from study.names import trial_name
from study.search.course import Course
from study.search.limits import Limits
from study.search.record import StudyRecord
from study.search.stopping.building import build_rule
from study.spec.resources import Resources
from study.spec.study_spec import StudySpec

RAY_FOLDER = "ray"
"""Where Ray Tune keeps its own notes, inside the study's folder, while it runs."""


def tune_study(
    spec: StudySpec,
    space: SearchSpace,
    record: StudyRecord,
    assignment: Assignment,
    on_change: Callable[[int], None],
) -> bool:
    """Runs trials until the budget is spent (True), or until Ctrl-C (False).

    What they report goes into `record`; `on_change` gets the number of each trial that reported. Raises StudyError if the cluster
    cannot hold a single trial.
    """
    from ray import tune

    from study.execution.scheduler import CourseScheduler
    from study.execution.searcher import CourseSearcher
    from study.execution.trial_actor import TrialActor

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    resources = trial_resources(spec.resources)
    course = _course(spec, space, record, Path(assignment.study_folder), resources)
    tuner = tune.Tuner(
        tune.with_resources(TrialActor, resources),
        param_space=assignment.to_config(),
        tune_config=tune.TuneConfig(
            search_alg=CourseSearcher(course, lambda: num_slots(spec.resources, resources)),
            scheduler=CourseScheduler(course, on_change),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_folder,
        ),
        run_config=tune.RunConfig(
            name=RAY_FOLDER,
            storage_path=str(Path(assignment.study_folder)),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    shutil.rmtree(Path(assignment.study_folder) / RAY_FOLDER, ignore_errors=True)  # all that counts is in the record
    if course.is_over:
        course.conclude()
    return course.is_over and not course.is_stopped


def trial_resources(wanted: Resources) -> dict[str, float]:
    """CPUs and GPUs of one trial on the connected cluster. Raises StudyError if it could never start."""
    have = capacity()
    gpus = wanted.gpus_per_trial
    resources = {"cpu": float(wanted.cpus_per_trial), "gpu": (1.0 if have.num_gpus else 0.0) if gpus == "auto" else float(gpus)}
    for kind, available in (("cpu", have.num_cpus), ("gpu", have.num_gpus)):
        if resources[kind] > available:
            raise StudyError(
                f"resources.{kind}s_per_trial asks for {resources[kind]:g}, but the cluster has {available:g}; "
                "lower it or connect to another cluster"
            )
    return resources


def num_slots(wanted: Resources, resources: dict[str, float]) -> int:
    """Trials that fit on the cluster at once."""
    have = capacity()
    slots = int(have.num_cpus // resources["cpu"])
    if resources["gpu"]:
        slots = min(slots, int(have.num_gpus / resources["gpu"] + 1e-6))
    return max(1, min(slots, wanted.max_concurrent or slots))


def _course(spec: StudySpec, space: SearchSpace, record: StudyRecord, folder: Path, resources: dict[str, float]) -> Course:
    maximise = spec.objective.maximise
    limits = Limits.of(spec.budget, record, maximise=maximise, gpus_per_trial=resources["gpu"])
    rule = build_rule(spec.early_stopping, maximise=maximise)
    return Course(
        record=record,
        space=space,
        seed=spec.seed,
        epochs=spec.budget.epochs,
        rule=rule,
        limits=limits,
        folder=folder,
        retries=spec.resources.retries,
    )


def _name(trial: Any) -> str:
    return trial_name(trial.config["trial"])


def _folder(trial: Any) -> str:
    return f"{_name(trial)}-{trial.config['attempt']}"
