"""The study's MLflow run: the parent of its trials' runs."""

from collections.abc import Iterator, Mapping
from typing import Any

from study import names
from study.plan import Plan
from study.search.record import StudyRecord, Trial
from study.tracking.client import tracking_errors
from study.tracking.closing import close_run
from study.tracking.dataset_input import log_dataset
from study.tracking.outbox import DRAIN_SECONDS, Outbox

_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED", "infeasible": "FAILED"}


class StudyRun:
    """Written by the driver; a trial never waits for it."""

    def __init__(self, client: Any, experiment_id: str, run_id: str) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self.run_id = run_id
        self._outbox = Outbox(client.tracking_uri)

    @classmethod
    def open(cls, client: Any, experiment_id: str, plan: Plan, record: StudyRecord, tags: Mapping[str, str]) -> "StudyRun":
        """The study's run: a new one, or for a resumed study the one that its record names, set to RUNNING again."""
        run_id = record.facts.get("run_id")
        with tracking_errors(client.tracking_uri):
            if run_id is None:
                run_id = _create(client, experiment_id, plan, tags)
                record.note(run_id=run_id)
            client.update_run(run_id, status="RUNNING")
        return cls(client, experiment_id, run_id)

    def close_soon(self, trial: Trial) -> None:
        """Gives an ended trial's run its true status, while the search goes on: its process cannot tell that it was stopped."""
        run_id = trial.run_id
        if run_id is not None:
            self._outbox.put(lambda client: _close_trial(client, trial, run_id))

    def close_trials(self, record: StudyRecord) -> None:
        """Gives every run of a trial the status that the record holds, also where the trial's process died, and notes its id."""
        self._outbox.drain(DRAIN_SECONDS)
        with tracking_errors(self.client.tracking_uri):
            record.note_runs(self._close_open_runs(record))

    def _close_open_runs(self, record: StudyRecord) -> dict[int, str]:
        """Ids of the runs that the record did not know, by trial."""
        trials = {str(trial.number): trial for trial in record.trials}
        late: dict[int, str] = {}
        for run in self._trial_runs():
            trial = trials.get(run.data.tags.get(names.TRIAL, ""))
            if trial is None:
                continue
            if trial.run_id is None:
                late[trial.number] = run.info.run_id
            if run.info.status == "RUNNING":
                _close_trial(self.client, trial, run.info.run_id)
        return late

    def _trial_runs(self) -> Iterator[Any]:
        page: str | None = None
        while page != "":
            found = self.client.search_runs(
                [self.experiment_id], f"tags.`{names.PARENT}` = '{self.run_id}'", max_results=1000, page_token=page
            )
            yield from found
            page = found.token or ""

    def end(self, status: str, leaderboard: list[dict[str, Any]], tags: Mapping[str, str], metrics: Mapping[str, float]) -> None:
        """Adds the leaderboard and the final metrics, and closes the run as FINISHED, FAILED or (interrupted) KILLED."""
        with tracking_errors(self.client.tracking_uri):
            if leaderboard:
                self.client.log_dict(self.run_id, {"trials": leaderboard}, "leaderboard.json")
            for key, value in metrics.items():
                self.client.log_metric(self.run_id, key, value)
            close_run(self.client, self.run_id, status, tags)


def _close_trial(client: Any, trial: Trial, run_id: str) -> None:
    """The true status of one trial's run; a trial that was cut off is KILLED, until it goes on."""
    if not trial.has_ended:
        close_run(client, run_id, "KILLED", {names.STATE: "interrupted"})
        return
    tags: dict[str, str] = {names.STATE: trial.state}
    if trial.reason:
        tags[names.REASON] = trial.reason
    if trial.state == "pruned" and trial.values:
        tags[names.PRUNED_AT] = str(max(trial.values))
    close_run(client, run_id, _STATUS[trial.state], tags)


def _create(client: Any, experiment_id: str, plan: Plan, tags: Mapping[str, str]) -> str:
    from mlflow.entities import Param

    spec = plan.spec
    tags = {**tags, names.STUDY: spec.study, names.DATASET_DIGEST: plan.manifest.digest}
    run_id = client.create_run(experiment_id, tags=tags, run_name=spec.study).info.run_id
    params = {
        "search_space": spec.search_space,
        "objective": spec.objective.metric,
        "trials": spec.budget.trials,
        "epochs": spec.budget.epochs,
        "early_stopping": spec.early_stopping.rule,
        "seed": spec.seed,
    }
    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])
    client.log_dict(run_id, spec.to_public_dict(), "study.yaml")
    log_dataset(client, run_id, plan.manifest)
    return run_id
