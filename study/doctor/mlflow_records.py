"""Checks of what MLflow has of a home: its database, the runs, and what waits to be sent to it."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from study.connections.mlflow_database import half_made, is_whole, make_if_missing, sqlite_file
from study.connections.model_registry import has_whole_database, registry_of
from study.doctor.finding import Finding, Scope, counted
from study.driver.running import tell_the_end
from study.home import Home
from study.results.study_result import StudyResult, find_study
from study.search.record.driver_lock import driver_of, driving
from study.tracking.flushing import OUTBOX_FOLDER, send_leftovers
from study.tracking.leftover_runs import LeftoverRun, end_run, runs_of_no_study, runs_of_study
from study.tracking.run_log import logs_in
from trainables.datasets.listing import list_datasets


def half_made_databases(scope: Scope) -> Iterator[Finding]:
    """MLflow's database, of which a killed process made the beginning."""
    file = sqlite_file(scope.home.tracking_uri)
    if file is None or scope.name is not None:
        return
    if file.exists() and not is_whole(file):
        yield Finding(
            where="this home",
            what=f"MLflow's database {file} is half made: its making was cut off, and nothing is in it",
            mending="puts it aside and makes a whole one",
            mend=partial(make_if_missing, file),
        )
    left = half_made(file)
    if left:
        yield Finding(
            where="this home",
            what=f"{counted(len(left), 'half-made database')} of MLflow, with nothing in them, such as "
            f"{left[0].name}",
            mending="removes them",
            mend=partial(_remove_half_made, file),
        )


def untold_ends(scope: Scope) -> Iterator[Finding]:
    """Studies whose driver died after it wrote the result, before MLflow had the end."""
    for study in scope.readable:
        if study.is_cut_off_at_end:
            yield Finding(
                where=f"study {study.spec.study}",
                what="it has its result, and MLflow was not told of its end",
                mending="tells MLflow",
                mend=partial(_tell_the_end, scope.home, study.spec.study),
            )


def runs_left_running(scope: Scope) -> Iterator[Finding]:
    """Runs that are RUNNING, of studies that nobody drives."""
    if not has_whole_database(scope.home):
        return
    with registry_of(scope.home) as client:
        for study in scope.readable:
            found = () if study.is_cut_off_at_end else runs_of_study(client, study)
            if found:
                yield Finding(
                    where=f"study {study.spec.study}",
                    what=f"{counted(len(found), 'run')} in MLflow RUNNING, and no process drives it",
                    mending="ends them as the record says; those cut off are KILLED until study resume",
                    mend=partial(_end_runs, scope.home, study.spec.study),
                )


def runs_of_removed_studies(scope: Scope) -> Iterator[Finding]:
    """Runs that are RUNNING in the home's own database, of studies that are not there, or not theirs."""
    if not (_is_own_database(scope.home) and has_whole_database(scope.home)):
        return
    for dataset in list_datasets(scope.home.datasets):
        found = _of_no_study(scope, dataset.name)
        for name in sorted({run.study for run in found}):
            num = sum(run.study == name for run in found)
            yield Finding(
                where=f"study {name}",
                what=f"{counted(num, 'run')} in MLflow RUNNING that no study of this home has",
                mending="ends them as KILLED",
                mend=partial(_end_runs_of_no_study, scope.home, dataset.name, name),
            )


def stray_logs(scope: Scope) -> Iterator[Finding]:
    """Logs of a study that has ended, which MLflow lacks or does not need."""
    for study in scope.readable:
        folder = study.folder / OUTBOX_FOLDER
        if not study.has_ended or study.is_cut_off_at_end or not folder.exists():
            continue
        num = sum(log.num_waiting for log in logs_in(folder))
        yield Finding(
            where=f"study {study.spec.study}",
            what=f"it has ended, and MLflow lacks {counted(num, 'record')} of it"
            if num
            else f"it has ended, and {folder.name}/ holds files that MLflow does not need",
            mending="sends them" if num else "removes them",
            mend=partial(_empty_outbox, scope.home, study.spec.study),
        )


def _remove_half_made(file: Path) -> None:
    for one in half_made(file):
        one.unlink(missing_ok=True)


def _tell_the_end(home: Home, name: str) -> None:
    with driving(home.studies / name):
        study = find_study(home, name)
        if study.is_cut_off_at_end:
            tell_the_end(home, study, lambda _: None)


def _end_runs(home: Home, name: str) -> None:
    with driving(home.studies / name), registry_of(home) as client:
        for run in runs_of_study(client, find_study(home, name)):
            end_run(client, run)


def _is_own_database(home: Home) -> bool:
    """Whether nobody else logs there."""
    return sqlite_file(home.tracking_uri) == home.folder / "mlflow.db"


def _of_no_study(scope: Scope, dataset: str) -> list[LeftoverRun]:
    """Without those of studies that somebody drives, or begins."""
    own = {one.spec.study: one.run_id for one in scope.readable}
    with registry_of(scope.home) as client:
        found = runs_of_no_study(client, dataset, own)
    return [
        run
        for run in found
        if scope.covers(run.study)
        and driver_of(scope.home.studies / run.study) is None
        and (run.study in own or not (scope.home.studies / run.study).exists())
    ]


def _end_runs_of_no_study(home: Home, dataset: str, study: str) -> None:
    found = _of_no_study(Scope(home, study), dataset)  # somebody may drive it by now
    with registry_of(home) as client:
        for run in found:
            end_run(client, run)


def _empty_outbox(home: Home, name: str) -> None:
    folder = home.studies / name
    with driving(folder):
        if StudyResult.read(folder).has_ended:
            send_leftovers(home, folder, lambda _: None)
            shutil.rmtree(folder / OUTBOX_FOLDER, ignore_errors=True)
