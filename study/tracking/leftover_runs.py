"""Runs that are RUNNING in MLflow though no process drives their study; they get the end of the record."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from study import names
from study.connections.mlflow_client import all_pages
from study.results.study_result import StudyResult
from study.search.record.trial import Trial
from study.tracking.log_records import Ended
from study.tracking.run_ends import cut_off, end_of_trial

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_RUNNING = "attributes.status = 'RUNNING'"


@dataclass(frozen=True, kw_only=True)
class LeftoverRun:
    """A run that is RUNNING, and how it ended in truth."""

    run_id: str
    study: str
    ended: Ended


def runs_of_study(client: "MlflowClient", study: StudyResult) -> tuple[LeftoverRun, ...]:
    """The runs of a study that nobody drives, its own and those of its trials."""
    return tuple(
        LeftoverRun(run_id=str(run.info.run_id), study=study.spec.study, ended=_end(run, study))
        for run in _running(client, names.experiment_name(study.spec.dataset))
        if study.run_id is not None and study.run_id in (run.info.run_id, run.data.tags.get(names.PARENT))
    )


def runs_of_no_study(
    client: "MlflowClient", dataset: str, own_runs: Mapping[str, str | None]
) -> tuple[LeftoverRun, ...]:
    """The runs of studies that are not in `own_runs`, or that these do not know as theirs.

    `own_runs` has the id of each study's run by its name.
    """
    found = []
    for run in _running(client, names.experiment_name(dataset)):
        study = run.data.tags.get(names.STUDY)
        own = own_runs.get(study or "")
        is_known = own is not None and own in (run.info.run_id, run.data.tags.get(names.PARENT))
        if study is not None and not is_known:
            found.append(LeftoverRun(run_id=str(run.info.run_id), study=study, ended=cut_off()))
    return tuple(found)


def end_run(client: "MlflowClient", run: LeftoverRun) -> None:
    """Gives a run its true end."""
    for name, value in run.ended.tags.items():
        client.set_tag(run.run_id, name, value)
    client.set_terminated(run.run_id, run.ended.status, run.ended.milliseconds)


def _running(client: "MlflowClient", experiment: str) -> "Iterator[Run]":
    found = client.get_experiment_by_name(experiment)
    if found is not None:
        ids = [found.experiment_id]
        yield from all_pages(client.search_runs, experiment_ids=ids, filter_string=_RUNNING)


def _end(run: Any, study: StudyResult) -> Ended:
    trial = _trial(run.data.tags, study)
    return _end_of_study(study) if trial is None else end_of_trial(trial)


def _end_of_study(study: StudyResult) -> Ended:
    if study.has_ended:
        return replace(cut_off(), status="FINISHED", tags={names.STATE: "finished"})
    if study.failure is not None:
        return replace(
            cut_off(), status="FAILED", tags={names.STATE: "failed", names.REASON: study.failure[:500]}
        )
    return cut_off()


def _trial(tags: Mapping[str, str], study: StudyResult) -> Trial | None:
    """The trial, or the further training, that a run is of; None for the study's own run."""
    if names.TRIAL in tags:
        return {str(trial.number): trial for trial in study.trials}.get(tags[names.TRIAL])
    if names.CONFIRMS in tags:
        name = names.confirmation_name(int(tags[names.CONFIRMS]), int(tags[names.FURTHER_SEED]))
        return study.confirmation.get(name)
    return None
