"""One Ray Tune execution of a study: trials start, report, end or are stopped until the record says that the budget is spent."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search_spaces.space import SearchSpace
from study.execution.slots import Slots, slots
from study.names import trial_name
from study.search.limits import Limits
from study.search.pbt.explorer import Explorer
from study.search.pbt.generations import Generations
from study.search.record.study_record import StudyRecord
from study.search.trial_protocol import Assignment
from study.search.trial_scheduler import TrialScheduler
from study.stopping.early_stopping import build_rules
from study.study_file.edits import Edit
from study.study_file.study_spec import StudySpec
from trainables.datasets.manifest import Manifest

RAY_FOLDER = "ray"
"""Where Ray Tune keeps its own notes, inside the study's folder, while it runs."""


def tune_study(
    spec: StudySpec,
    space: SearchSpace,
    record: StudyRecord,
    assignment: Assignment,
    on_change: Callable[[int], None],
    steering: Callable[[], tuple[Edit, ...]] | None = None,
) -> bool:
    """Runs trials until the budget is spent (True), or until Ctrl-C (False). `steering` is as `TrialScheduler` has it.

    What they report goes into `record`; `on_change` gets the number of each trial that reported, or began or ended without doing so.
    """
    record.note(gpus_per_trial=assignment.gpus)
    course = _course(spec, space, record, assignment, steering, on_change)
    if not course.is_over:  # Ray Tune takes seconds to say that there is nothing to do
        with slots(spec.resources, assignment, record) as room:
            _tune(course, room, assignment, on_change)
    shutil.rmtree(Path(assignment.study_folder) / RAY_FOLDER, ignore_errors=True)  # all that counts is in the record
    if course.is_over:
        course.conclude()
    return course.is_over and not course.is_stopped


def _tune(course: TrialScheduler, room: Slots, assignment: Assignment, on_change: Callable[[int], None]) -> None:
    from ray import tune

    from study.execution.ray_scheduler import RayScheduler
    from study.execution.ray_searcher import RaySearcher
    from study.execution.trial_actor import TrialActor

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    searcher = RaySearcher(course, room)
    tuner = tune.Tuner(
        tune.with_resources(TrialActor, {"cpu": assignment.cpus, "gpu": assignment.gpus}),
        param_space=assignment.to_config(),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=RayScheduler(course, on_change, searcher.has_room_after_an_end),
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


def _course(
    spec: StudySpec,
    space: SearchSpace,
    record: StudyRecord,
    assignment: Assignment,
    steering: Callable[[], tuple[Edit, ...]] | None,
    on_change: Callable[[int], None],
) -> TrialScheduler:
    maximise = spec.objective.maximise
    limits = Limits.of(spec.budget, record, maximise=maximise, gpus_per_trial=assignment.gpus)
    rule = build_rules(spec.early_stopping, maximise=maximise)
    return TrialScheduler(
        record=record,
        space=space,
        seed=spec.seed,
        epochs=spec.budget.epochs,
        rule=rule,
        limits=limits,
        folder=Path(assignment.study_folder),
        retries=spec.resources.retries,
        steering=steering,
        generations=_generations(spec, space, record, assignment),
        on_change=on_change,
    )


def _generations(spec: StudySpec, space: SearchSpace, record: StudyRecord, assignment: Assignment) -> Generations | None:
    if spec.early_stopping.rule != "pbt":
        return None
    manifest = Manifest.read(Path(assignment.dataset_folder))
    explorer = Explorer(space=space, manifest=manifest, epochs=spec.budget.epochs, seed=spec.seed, resample=spec.early_stopping.resample)
    return Generations(record, explorer, Path(assignment.study_folder))


def _name(trial: Any) -> str:
    return trial_name(trial.config["trial"])


def _folder(trial: Any) -> str:
    return f"{_name(trial)}-{trial.config['attempt']}"
