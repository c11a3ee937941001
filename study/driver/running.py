"""Running a study: plan, connect, search, confirm, measure, register."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from cluster.connection import check_reachable, connected, is_shared
from cluster.leftovers import end_leftovers
from study import names
from study.connections.mlflow_account import identify
from study.connections.mlflow_client import connect, prepare_experiment, tracking_errors
from study.disk_space import check_disk_space
from study.driver.ending import StudyNotices
from study.driver.notices import check_notify_settings
from study.driver.own_process import function_of, in_own_process
from study.driver.own_time import note_own_time
from study.driver.pretrained_weights import locate_weights
from study.driver.progress import Progress
from study.driver.report_at_end import report_at_end
from study.driver.study_gauges import StudyGauges
from study.driver.warnings import warnings_of
from study.errors import FailedStudyError, SpecError, StopRequestedError, TrackingError
from study.evaluation.final_result import FinalResult
from study.execution.capacity import connected_where_named
from study.execution.preparation import prepare_trials
from study.execution.priorities import check_priority
from study.execution.trial_libraries import trial_libraries
from study.home import Home
from study.planning.earlier_starts import earlier_sentences
from study.planning.half_begun import clear_half_begun
from study.planning.plan import (
    Plan,
    check_folder_is_free,
    check_name_is_free,
    plan_study,
    with_own_space,
)
from study.planning.study_context import StudyContext
from study.provenance import provenance_tags
from study.results.price import Price
from study.results.reproduction import Reproduction
from study.results.study_result import StudyResult, find_study, trial_row
from study.safe_console import literal
from study.search.record.checkpoint_space import bound_checkpoints
from study.search.record.checkpoints import delete_checkpoints
from study.search.record.driver_lock import DriverLock, OnPhase, Phase, driving
from study.search.record.kept_weights import NUM_KEPT, delete_weights
from study.search.record.storage import SPEC_FILE
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.study_file.edits import Edit, append_edit, extended_budget, is_stopped, read_edits
from study.study_file.study_spec import StudySpec
from study.tracking.flushing import send_leftovers
from study.tracking.study_run import StudyRun
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
    check_priority(priority, identify(plan.home.tracking_uri).user)
    check_notify_settings(plan.spec.notify)
    Price.of_environment()  # a price that cannot be read would spoil the receipt
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
    if found.is_cut_off_at_end:
        tell_the_end(home, found, progress.say)
        found = find_study(home, name)
    if found.has_ended:
        send_leftovers(home, found.folder, progress.say)
        return
    found.check_goes_on()
    if is_stopped(read_edits(found.folder)):
        append_edit(found.folder, Edit(kind="resume"))
    plan = plan_study(found.spec, home)
    record = StudyRecord.open(plan.folder)
    _check_dataset_is_the_same(plan, record)
    check_disk_space(home)
    check_notify_settings(plan.spec.notify)
    Price.of_environment()  # a price that cannot be read would spoil the receipt
    check_reachable()
    if on_begin is not None:
        on_begin()
    _execute(plan, record, locate_weights(plan), progress, driver, is_resumed=True)


def tell_the_end(home: Home, found: StudyResult, say: Callable[[str], object]) -> None:
    """Tells MLflow the end of a study whose driver died between writing its result and telling it.

    The caller drives the study. Raises TrackingError.
    """
    plan = plan_study(found.spec, home)
    record = StudyRecord.open(plan.folder)
    run = _open_run(plan, record, say)
    run.close_trials(record)
    if found.final is not None:
        _end_run(plan, record, run, found.final)
    elif found.reproduction is not None:
        _end_reproduction(run, record, found.reproduction)


def _spec(spec: StudySpec | Mapping[str, Any] | str | Path) -> StudySpec:
    if isinstance(spec, StudySpec):
        return spec
    return StudySpec.read(Path(spec)) if isinstance(spec, str | Path) else StudySpec.parse(dict(spec))


def _start(plan: Plan, priority: int) -> StudyRecord:
    """The study's folder with its record, in which the start points wait; the spec comes last, as the sign
    that it is whole. What a driver left there that died before that is cleared.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    with driving(plan.folder):
        check_folder_is_free(plan)  # somebody may have begun it in the meantime
        clear_half_begun(plan.folder)
        try:
            return _begun(plan, priority)
        except BaseException:
            shutil.rmtree(plan.folder, ignore_errors=True)
            raise


def _begun(plan: Plan, priority: int) -> StudyRecord:
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
    person = identify(plan.home.tracking_uri)
    record.note(
        dataset_digest=plan.manifest.digest, user=person.user, user_source=person.source, priority=priority
    )
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
    study, user = plan.spec.study, record.facts.get("user", "")
    notices = StudyNotices(plan.spec, user, plan.folder, lambda line: progress.say(literal(line)))
    gauges = StudyGauges(study, user, plan.folder)

    def on_phase(phase: Phase, why: str | None) -> None:
        driver.note(phase)
        notices.note_phase(phase, why)
        if why is not None:
            progress.say(literal(why))

    begun = time.time()
    end_ray_of_dead_drivers(plan.home, progress.say)
    progress.say("starting Ray and MLflow")
    with trial_libraries(), ThreadPoolExecutor(1) as beside:
        opening = beside.submit(
            _open_run, plan, record, progress.say
        )  # both take seconds, so they start side by side
        with connected(noted_in=plan.home.ray_processes, last_words=progress.say_last):
            run = opening.result()
            with (
                notices.end_told(),
                gauges.published(),
                _true_status(run, record),
                progress.following(plan.folder, notices.note_best),
            ):
                context = prepare_trials(
                    plan, record, run, weights, progress.say, on_phase, is_resumed=is_resumed
                )
                progress.say("starting the first trials; their processes load their libraries once")
                with progress.watching(_with_extended_budget(plan), record) as on_change:
                    _search(plan, record, run, context, on_phase, _both(on_change, gauges, record))
                winner = _winner(record)
                if plan.spec.reproduces is not None:
                    _conclude_reproduction(plan, record, run, progress)
                else:
                    confirmed = _confirmed(plan, record, run, context, on_phase, progress)
                    _conclude(plan, record, run, winner, confirmed, progress)
                    if not (is_resumed or is_shared()):  # nor was there a queue to wait in
                        note_own_time(record, confirmed, begun)
    report_at_end(plan.home, study, progress.say)  # Ray has ended by now, so nothing waits for pictures


def _both(
    on_change: Callable[[int], None], gauges: StudyGauges, record: StudyRecord
) -> Callable[[int], None]:
    def changed(number: int) -> None:
        gauges.note(record)
        on_change(number)

    return changed


def end_ray_of_dead_drivers(home: Home, say: Callable[[str], object]) -> None:
    """Ends what killed drivers of this home left of their Ray on this machine."""
    num = end_leftovers(home.ray_processes)
    if num:
        say(f"ended {num} process{'' if num == 1 else 'es'} of Ray that a killed driver left")


def _with_extended_budget(plan: Plan) -> StudySpec:
    """The spec with the budget that it was extended to by now."""
    return plan.spec.model_copy(update={"budget": extended_budget(plan.spec.budget, read_edits(plan.folder))})


def _open_run(plan: Plan, record: StudyRecord, say: Callable[[str], object]) -> StudyRun:
    client = connect(plan.home.tracking_uri)
    plan.home.folder.mkdir(parents=True, exist_ok=True)
    with tracking_errors(client.tracking_uri):
        experiment_id = prepare_experiment(client, plan.home, plan.spec.dataset)
    return StudyRun.open(client, experiment_id, plan, record, provenance_tags(), say)


def _search(
    plan: Plan,
    record: StudyRecord,
    run: StudyRun,
    context: StudyContext,
    on_phase: OnPhase,
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
        elif trial.state == "paused" and plan.spec.early_stopping.rule == "asha_pause":
            _bound_checkpoints(plan, record)
        on_change(number)

    try:
        tune_study(
            plan.spec, plan.space, record, context, partial(read_edits, plan.folder), changed, on_phase
        )
    finally:
        # A trial's process may have written its state after the trial's end was known.
        delete_checkpoints(plan.folder, [trial.number for trial in record.trials if trial.has_ended])


def _bound_checkpoints(plan: Plan, record: StudyRecord) -> None:
    gigabytes = plan.spec.resources.checkpoints_gb
    bound_checkpoints(
        plan.folder,
        [trial for trial in record.trials if trial.state == "paused" and not trial.gave_way],
        None if gigabytes is None else gigabytes * 1e9,
        plan.spec.objective.merit,
    )


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
    on_phase: OnPhase,
    progress: Progress,
) -> tuple[Trial, ...]:
    """The configurations that were trained again; none where the study file does not ask for it."""
    from study.driver.further_seeds import train_further_seeds

    wanted = plan.spec.confirm
    if wanted is None:
        return ()
    return train_further_seeds(plan, wanted, record, run, context, on_phase, progress)


def _conclude(
    plan: Plan,
    record: StudyRecord,
    run: StudyRun,
    winner: Trial,
    confirmed: tuple[Trial, ...],
    progress: Progress,
) -> None:
    run.close_trials(record)  # the registered version names the run of its trial
    _do_last_steps(
        "study.driver.finalising:finalise_study",
        plan,
        run.run_id,
        winner.number,
        tuple(trial.number for trial in confirmed),
        say=progress.say,
    )
    final = FinalResult.read(plan.folder)
    assert final is not None, "it has just been written"
    _end_run(plan, record, run, final)


def _do_last_steps(work: str, plan: Plan, *arguments: Any, say: Callable[[str], object]) -> None:
    """Measures or registers, which needs torch: on a cluster in a process that ends with it."""
    arguments = (plan.home, plan.spec.study, *arguments)
    if is_shared():
        in_own_process(work, *arguments, say=say)
    else:
        function_of(work)(*arguments, say=say)


def _end_run(plan: Plan, record: StudyRecord, run: StudyRun, final: FinalResult) -> None:
    from study.tracking.result_tables import final_metrics

    tags = {
        names.STATE: "finished",
        names.BEST_TRIAL: str(final.trial),
        names.MODEL: f"{final.model} version {final.version}",
    }
    # Beside those of its trials, in the column by which MLflow's pages rank them.
    winner = record.best()
    value = None if winner is None else winner.value
    best = {} if value is None else {names.best_metric(plan.spec.objective.metric): value}
    metrics = {**best, **final_metrics(final)}
    run.end("FINISHED", [trial_row(trial) for trial in record.leaderboard()], tags, metrics)
    _note_end(record)


def _conclude_reproduction(plan: Plan, record: StudyRecord, run: StudyRun, progress: Progress) -> None:
    run.close_trials(record)
    _do_last_steps("study.driver.seed_measurement:measure_reproduction_of", plan, say=progress.say)
    reproduction = Reproduction.read(plan.folder)
    assert reproduction is not None, "it has just been written"
    _end_reproduction(run, record, reproduction)


def _end_reproduction(run: StudyRun, record: StudyRecord, reproduction: Reproduction) -> None:
    low, high = reproduction.interval or (reproduction.mean, reproduction.mean)
    metrics = {
        names.reproduction_metric(reproduction.metric): reproduction.mean,
        names.reproduction_metric("low"): low,
        names.reproduction_metric("high"): high,
    }
    tags = {names.STATE: "finished", names.RECIPE: reproduction.recipe, names.VERDICT: reproduction.verdict}
    run.end("FINISHED", [trial_row(trial) for trial in record.leaderboard()], tags, metrics)
    _note_end(record)


def _note_end(record: StudyRecord) -> None:
    """The last that a study does: what was edited later extends it."""
    record.note(num_edits_at_end=record.facts.get("num_edits_taken", 0))


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
