"""Running a study: plan, connect, search, confirm, measure, register."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from cluster.connection import check_reachable, connected
from study import names
from study.connections.mlflow_client import connect, prepare_experiment, tracking_errors
from study.disk_space import check_disk_space
from study.driver.pretrained_weights import locate_weights
from study.driver.progress import Progress
from study.driver.warnings import warnings_of
from study.errors import FailedStudyError, SpecError, StopRequestedError, TrackingError
from study.execution.capacity import connected_where_named
from study.execution.preparation import prepare_trials
from study.home import Home
from study.planning.earlier_starts import earlier_sentences
from study.planning.plan import Plan, check_name_is_free, name_is_taken, plan_study, with_own_space
from study.planning.study_context import StudyContext
from study.provenance import provenance_tags
from study.results.study_result import StudyResult, find_study, trial_row
from study.safe_console import literal
from study.search.record.checkpoints import delete_checkpoints
from study.search.record.driver_lock import DriverLock, driving
from study.search.record.kept_weights import NUM_KEPT, delete_weights
from study.search.record.storage import SPEC_FILE
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.study_file.edits import Edit, append_edit, extended_budget, is_stopped, read_edits
from study.study_file.study_spec import StudySpec
from study.tracking.flushing import send_leftovers
from study.tracking.study_run import StudyRun
from study.user import current_user
from study.yaml_file import write_yaml


def run_study(
    spec: StudySpec | Mapping[str, Any] | str | Path,
    *,
    home: Home | None = None,
    progress: Progress | None = None,
    priority: int = 0,
    on_begin: Callable[[], None] | None = None,
) -> StudyResult:
    """Runs a study from a spec, a mapping of its keys, or the path of a study file, and returns its result.

    Everything is kept in `home` (`STUDY_HOME`) and in MLflow. On a cluster that several studies share, those
    of higher `priority` come first. `on_begin` is called once the study exists and nothing of it runs yet.
    Raises SpecError, SpaceError, DatasetError, TrackingError or ClusterError before anything is spent,
    FailedStudyError if every trial failed. StopRequestedError (somebody stopped it) and KeyboardInterrupt
    leave a study that `resume_study` goes on with.
    """
    plan = plan_study(_spec(spec), home or Home.current())
    check_name_is_free(plan)
    check_disk_space(plan.home)
    check_reachable()
    weights = locate_weights(plan)
    progress = progress or Progress()
    for sentence in (*earlier_sentences(plan.earlier), *warnings_of(plan)):
        progress.say(literal(sentence))
    with connected_where_named(plan.spec.resources):
        record = _start(plan, priority)
        with driving(plan.folder) as driver:
            if on_begin is not None:
                on_begin()
            _execute(plan, record, weights, progress, driver, is_resumed=False)
    return StudyResult.read(plan.folder)


def resume_study(
    name: str,
    *,
    home: Home | None = None,
    progress: Progress | None = None,
    on_begin: Callable[[], None] | None = None,
) -> StudyResult:
    """Goes on with a study that was interrupted: ended trials stay, those cut off go on, the rest of the
    budget follows.

    A study that has come to its end is returned as it is. Raises UnknownStudyError, StudyError while another
    process drives it, or SpecError if its dataset was replaced.
    """
    home, progress = home or Home.current(), progress or Progress()
    folder = find_study(home, name).folder
    with driving(folder) as driver:
        _go_on(home, name, progress, on_begin, driver)
    return StudyResult.read(folder)


def _go_on(
    home: Home, name: str, progress: Progress, on_begin: Callable[[], None] | None, driver: DriverLock
) -> None:
    found = find_study(home, name)  # as the driver before left it
    if found.has_ended:
        send_leftovers(home, found.folder, progress.say)
        return
    if is_stopped(read_edits(found.folder)):
        append_edit(found.folder, Edit(kind="resume"))
    plan = plan_study(found.spec, home)
    record = StudyRecord.open(plan.folder)
    _check_dataset_is_the_same(plan, record)
    check_disk_space(home)
    check_reachable()
    if on_begin is not None:
        on_begin()
    _execute(plan, record, locate_weights(plan), progress, driver, is_resumed=True)


def _spec(spec: StudySpec | Mapping[str, Any] | str | Path) -> StudySpec:
    if isinstance(spec, StudySpec):
        return spec
    return StudySpec.read(Path(spec)) if isinstance(spec, str | Path) else StudySpec.parse(dict(spec))


def _start(plan: Plan, priority: int) -> StudyRecord:
    """The study's folder with its record, in which the start points wait; the spec comes last, as the sign
    that it is whole.
    """
    try:
        plan.folder.mkdir(parents=True)
    except FileExistsError:
        raise SpecError(name_is_taken(plan.spec.study)) from None  # somebody began it in the meantime
    record = StudyRecord.create(
        plan.folder,
        plan.spec.study,
        objectives=plan.spec.objectives,
        constraints=plan.spec.constraints,
        sampler=plan.spec.sampler,
        storage_url=plan.spec.search_storage,
    )
    for start in plan.starts:
        record.enqueue(plan.space, start.point, start.origin)
    if plan.spec.earlier:
        plan.earlier.write(plan.folder)
    record.note(dataset_digest=plan.manifest.digest, user=current_user(), priority=priority)
    write_yaml(plan.folder / SPEC_FILE, with_own_space(plan.spec, plan.folder).to_dict())
    return record


def _check_dataset_is_the_same(plan: Plan, record: StudyRecord) -> None:
    before = record.facts["dataset_digest"]
    if before != plan.manifest.digest:
        raise SpecError(
            f"dataset {plan.spec.dataset!r} was replaced since the study began (digest {before[:12]}, now "
            f"{plan.manifest.digest[:12]}), "
            "so its trials do not compare; put the old one back, or run the study under another name"
        )


def _execute(
    plan: Plan,
    record: StudyRecord,
    weights: Mapping[str, str],
    progress: Progress,
    driver: DriverLock,
    *,
    is_resumed: bool,
) -> None:
    progress.say("starting Ray and MLflow")
    with ThreadPoolExecutor(1) as beside:
        opening = beside.submit(
            _open_run, plan, record, progress
        )  # both take seconds, so they start side by side
        with connected():
            run = opening.result()
            with _true_status(run, record):
                context = prepare_trials(plan, record, run, weights, progress.say, is_resumed=is_resumed)
                progress.say("starting the first trials; their processes load their libraries once")
                with progress.watching(_with_extended_budget(plan), record) as on_change:
                    _search(plan, record, run, context, driver, on_change)
                winner = _winner(record)
                if plan.spec.reproduces is not None:
                    progress.say("measuring every seed on the sealed test split")
                    _conclude_reproduction(plan, record, run)
                else:
                    confirmed = _confirmed(plan, record, run, context, driver, progress)
                    _conclude(plan, record, run, winner, confirmed, progress)
                record.note(num_edits_at_end=record.facts.get("num_edits_taken", 0))


def _with_extended_budget(plan: Plan) -> StudySpec:
    """The spec with the budget that it was extended to by now."""
    return plan.spec.model_copy(update={"budget": extended_budget(plan.spec.budget, read_edits(plan.folder))})


def _open_run(plan: Plan, record: StudyRecord, progress: Progress) -> StudyRun:
    client = connect(plan.home.tracking_uri)
    plan.home.folder.mkdir(parents=True, exist_ok=True)
    with tracking_errors(client.tracking_uri):
        experiment_id = prepare_experiment(client, plan.home, plan.spec.dataset)
    return StudyRun.open(client, experiment_id, plan, record, provenance_tags(), progress.say)


def _search(
    plan: Plan,
    record: StudyRecord,
    run: StudyRun,
    context: StudyContext,
    driver: DriverLock,
    on_change: Callable[[int], None],
) -> None:
    from study.execution.tuning import tune_study

    def changed(number: int) -> None:
        run.log_edits()
        trial = record.trial(number)
        if trial.has_ended:
            run.close_soon(trial)
            _keep_best_weights(plan, record)
            delete_checkpoints(plan.folder, [number])
        on_change(number)

    try:
        tune_study(
            plan.spec, plan.space, record, context, partial(read_edits, plan.folder), changed, driver.note
        )
    finally:
        # A trial's process may have written its state after the trial's end was known.
        delete_checkpoints(plan.folder, [trial.number for trial in record.trials if trial.has_ended])


def _keep_best_weights(plan: Plan, record: StudyRecord) -> None:
    ended = [trial.number for trial in record.leaderboard() if trial.has_ended]
    best = record.best()
    num_kept = NUM_KEPT if plan.spec.reproduces is None else plan.spec.budget.trials
    delete_weights(
        plan.folder, [number for number in ended[num_kept:] if best is None or number != best.number]
    )


def _winner(record: StudyRecord) -> Trial:
    winner = record.best()
    if winner is None and record.leaderboard():
        raise FailedStudyError(
            "no trial kept the study's constraints, so nothing was registered; loosen them, or search "
            "elsewhere"
        )
    if winner is None:
        reasons = Counter(trial.reason or "no reason recorded" for trial in record.trials)
        listed = "; ".join(f"{count} times: {reason}" for reason, count in reasons.most_common(3))
        raise FailedStudyError(
            f"none of the {len(record.trials)} trials has a result ({listed}); nothing was registered"
        )
    return winner


def _confirmed(
    plan: Plan,
    record: StudyRecord,
    run: StudyRun,
    context: StudyContext,
    driver: DriverLock,
    progress: Progress,
) -> tuple[Trial, ...]:
    """The configurations that were trained again; none where the study file does not ask for it."""
    from study.driver.further_seeds import train_further_seeds

    wanted = plan.spec.confirm
    if wanted is None:
        return ()
    return train_further_seeds(plan, wanted, record, run, context, driver.note, progress)


def _conclude(
    plan: Plan,
    record: StudyRecord,
    run: StudyRun,
    winner: Trial,
    confirmed: tuple[Trial, ...],
    progress: Progress,
) -> None:
    from study.driver.finalising import finalise
    from study.tracking.result_tables import final_metrics

    run.close_trials(record)  # the registered version names the run of its trial
    final = finalise(plan, record.trial(winner.number), confirmed, run, progress)
    tags = {
        names.STATE: "finished",
        names.BEST_TRIAL: str(final.trial),
        names.MODEL: f"{final.model} version {final.version}",
    }
    run.end("FINISHED", [trial_row(trial) for trial in record.leaderboard()], tags, final_metrics(final))


def _conclude_reproduction(plan: Plan, record: StudyRecord, run: StudyRun) -> None:
    from study.driver.seed_measurement import measure_reproduction

    run.close_trials(record)
    reproduction = measure_reproduction(plan, record)
    low, high = reproduction.interval or (reproduction.mean, reproduction.mean)
    metrics = {
        names.reproduction_metric(reproduction.metric): reproduction.mean,
        names.reproduction_metric("low"): low,
        names.reproduction_metric("high"): high,
    }
    tags = {names.STATE: "finished", names.RECIPE: reproduction.recipe, names.VERDICT: reproduction.verdict}
    run.end("FINISHED", [trial_row(trial) for trial in record.leaderboard()], tags, metrics)


@contextmanager
def _true_status(run: StudyRun, record: StudyRecord) -> Iterator[None]:
    """Leaves no MLflow run open, whatever happens inside."""
    record.note(failure=None)  # of an earlier driver
    try:
        yield
    except BaseException as error:
        is_interrupted = isinstance(error, KeyboardInterrupt | StopRequestedError | TrackingError)
        tags = (
            {names.STATE: "interrupted"}
            if is_interrupted
            else {names.STATE: "failed", names.REASON: str(error) or type(error).__name__}
        )
        status = "KILLED" if is_interrupted else "FAILED"
        if not is_interrupted:
            record.note(failure=str(error) or type(error).__name__)
        for close in (partial(run.close_trials, record), partial(run.end, status, [], tags, {})):
            try:
                close()
            except TrackingError as second:
                error.add_note(f"Nor could its runs be closed: {second}")
        raise
