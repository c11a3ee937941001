"""One Ray Tune execution of a study: trials start, report, end or are stopped until the record says that the
budget is spent.
"""

import logging
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.nodes import capacity, kind_resource
from search_spaces.space import SearchSpace
from study.errors import StopRequestedError
from study.execution.slots import Slots, slots
from study.live.paces import Devices, OnReport, written_paces
from study.names import trial_name
from study.planning.study_context import StudyContext
from study.search.limits import Limits
from study.search.pbt.explorer import Explorer
from study.search.pbt.generations import Generations
from study.search.record.driver_lock import OnPhase
from study.search.record.study_record import StudyRecord
from study.search.trial_scheduler import TrialScheduler
from study.stopping.early_stopping import build_rules
from study.study_file.edits import Edit
from study.study_file.study_spec import StudySpec
from trainables.datasets.manifest import Manifest

if TYPE_CHECKING:  # Ray takes seconds to import
    from ray import tune
    from ray.tune.experiment import Trial as RayTrial

RAY_FOLDER = "ray"
"""Where Ray Tune keeps its own notes, inside the study's folder, while it runs."""


def tune_study(
    spec: StudySpec,
    space: SearchSpace,
    record: StudyRecord,
    context: StudyContext,
    edits: Callable[[], tuple[Edit, ...]],
    on_change: Callable[[int], None],
    on_phase: OnPhase,
) -> None:
    """Runs trials until the budget is spent. Their reports go into `record`.

    `edits` reads the edits that count here. `on_change` is called with the number of each trial that
    reported, or began or ended without a report, `on_phase` where the study waits for its first slot or has
    got it. Raises StopRequestedError where somebody stopped the study,
    KeyboardInterrupt after Ctrl-C.
    """
    record.note(gpus_per_trial=context.gpus)
    scheduler = _scheduler(spec, space, record, context, edits, on_change)
    if not scheduler.is_over:  # Ray Tune takes seconds to say that there is nothing to do
        with (
            slots(spec.resources, context, record, scheduler.last_priority) as free_slots,
            written_paces(Path(context.study_folder), partial(_devices, context)) as paces,
        ):
            _tuner(
                scheduler, free_slots, context, spec.resources.gpu_kind, on_change, on_phase, paces.take
            ).fit()
    shutil.rmtree(
        Path(context.study_folder) / RAY_FOLDER, ignore_errors=True
    )  # all that counts is in the record
    if scheduler.is_stopped:
        raise StopRequestedError(f"study {spec.study!r} was asked to stop")
    if not scheduler.is_over:
        raise KeyboardInterrupt  # Ray Tune took the signal
    scheduler.conclude()


def _scheduler(
    spec: StudySpec,
    space: SearchSpace,
    record: StudyRecord,
    context: StudyContext,
    edits: Callable[[], tuple[Edit, ...]],
    on_change: Callable[[int], None],
) -> TrialScheduler:
    maximise = spec.objective.maximise
    scheduler = TrialScheduler(
        record=record,
        space=space,
        seed=spec.seed,
        epochs=spec.budget.epochs,
        rules=build_rules(spec.early_stopping, maximise=maximise),
        limits=Limits.of(
            spec.budget,
            record,
            maximise=maximise,
            gpus_per_trial=context.gpus,
            bound=spec.objective.bound,
        ),
        edits=edits,
        retries=spec.resources.retries,
        generations=_generations(spec, space, record, context),
        on_change=on_change,
    )
    scheduler.restore()
    return scheduler


def _generations(
    spec: StudySpec, space: SearchSpace, record: StudyRecord, context: StudyContext
) -> Generations | None:
    if spec.early_stopping.rule != "pbt":
        return None
    manifest = Manifest.read(Path(context.dataset_folder))
    explorer = Explorer(
        space=space,
        manifest=manifest,
        epochs=spec.budget.epochs,
        seed=spec.seed,
        resample=spec.early_stopping.resample,
    )
    return Generations(record, explorer, Path(context.study_folder))


def _tuner(
    scheduler: TrialScheduler,
    free_slots: Slots,
    context: StudyContext,
    gpu_kind: str | None,
    on_change: Callable[[int], None],
    on_phase: OnPhase,
    on_report: OnReport,
) -> "tune.Tuner":
    from ray import tune

    from study.execution.ray_scheduler import RayScheduler
    from study.execution.ray_searcher import RaySearcher, Starts
    from study.execution.tuned_trial import TunedTrial

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    _keep_secrets()
    searcher = RaySearcher(scheduler, free_slots, on_phase, context.run_name)
    return tune.Tuner(
        tune.with_resources(
            TunedTrial, {"cpu": context.cpus, "gpu": context.gpus, **kind_resource(gpu_kind)}
        ),
        param_space=context.to_config(),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=RayScheduler(
                scheduler,
                on_change,
                searcher.has_room_after_an_end,
                searcher.gives_way,
                searcher.move,
                on_report,
            ),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_folder,
        ),
        run_config=tune.RunConfig(
            name=RAY_FOLDER,
            storage_path=str(Path(context.study_folder)),
            verbose=0,
            callbacks=[Starts(searcher)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )


def _devices(context: StudyContext) -> Devices:
    """What the connected cluster has for the study at this moment."""
    found = capacity()
    return Devices(
        num_cpus=found.num_cpus,
        num_gpus=found.num_gpus,
        gpus_by_kind=found.gpus_by_kind,
        cpus_per_trial=context.cpus,
        gpus_per_trial=context.gpus,
    )


def _keep_secrets() -> None:
    """Keeps Ray Tune from copying the environment's AWS keys into each trial's runtime environment.

    Ray writes that into a log that everybody on the machine may read. The processes of trials have the keys
    from the environment in which Ray was started.
    """
    from ray.tune.execution import class_cache

    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(
        {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    )


def _name(trial: "RayTrial") -> str:
    return trial_name(trial.config["trial"])


def _folder(trial: "RayTrial") -> str:
    return f"{_name(trial)}-{trial.config['attempt']}"
