"""The study's MLflow run: the parent of its trials' runs."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from study import names
from study.connections.mlflow_client import tracking_errors
from study.environment import environment, local_changes
from study.planning.dataset_similarity import DatasetTraits
from study.planning.earlier_starts import STARTS_FILE
from study.planning.plan import Plan
from study.results.cost import Cost
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.study_file.budget import Budget
from study.study_file.edits import EDITS_FILE, Edit, edits_in, edits_text, extended_budget
from study.tracking.dataset_input import dataset_used
from study.tracking.delivery import Delivery
from study.tracking.descriptions import budget_sentence, study_description
from study.tracking.flushing import OUTBOX_FOLDER, PATIENCE_SECONDS, catch_up, delete, remove_if_empty
from study.tracking.log_records import Described, Ended, LogRecord, Measured, Opened, Pictures, Text
from study.tracking.objective_view import offer_view
from study.tracking.outbox import Outbox
from study.tracking.run_ends import end_of_trial
from study.tracking.run_log import RunLog, Sent, logs_in
from study.yaml_file import yaml_text

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LOG = "study"
SECONDS_AFTER_GIVING_UP = 2.0


class StudyRun:
    """Written by the driver; a trial never waits for it."""

    def __init__(
        self,
        client: "MlflowClient",
        experiment_id: str,
        run_id: str,
        plan: Plan,
        record: StudyRecord,
        outbox: Outbox,
        delivery: Delivery,
        say: Callable[[str], object],
    ) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self.run_id = run_id
        self._plan = plan
        self._record = record
        self._say = say
        self._patience_seconds = PATIENCE_SECONDS
        self._is_over = False
        self._edits_sent = ""
        self._outbox = outbox
        self._delivery = delivery

    @classmethod
    def open(
        cls,
        client: "MlflowClient",
        experiment_id: str,
        plan: Plan,
        record: StudyRecord,
        tags: Mapping[str, str],
        say: Callable[[str], object] = lambda _: None,
    ) -> "StudyRun":
        """The study's run: a new one, or that of the resumed study, set to RUNNING again.

        `say` gets a line where a person waits for MLflow.
        """
        run_id = record.facts.get("run_id")
        log = RunLog(plan.folder / OUTBOX_FOLDER, _LOG)
        with tracking_errors(client.tracking_uri):
            if run_id is None:
                log.append(*_description(plan), _budget(plan.spec.budget, _now()))
                tags = {**tags, names.STUDY: plan.spec.study, names.DATASET_DIGEST: plan.manifest.digest}
                tags[names.DATASET_TRAITS] = DatasetTraits.of(plan.manifest).to_json()
                tags |= {**plan.spec.tags, names.NOTE: study_description(plan)}
                run_id = client.create_run(experiment_id, tags=tags, run_name=plan.spec.study).info.run_id
                record.note(run_id=run_id)
            client.update_run(run_id, status="RUNNING")
            offer_view(client, experiment_id, plan.spec.objectives)
        if log.sent.run_id is None:
            log.mark(Sent(run_id=run_id))
        outbox = Outbox(client.tracking_uri).start()
        run = cls(client, experiment_id, run_id, plan, record, outbox, outbox.hold(log), say)
        for trial in record.trials:
            if trial.has_ended:
                run.close_soon(trial)  # an earlier driver died before MLflow had all of it
        return run

    def tag(self, tags: Mapping[str, str]) -> None:
        """Adds tags to the run, soon."""
        self._delivery.log.append(Described(tags=tags))
        self._outbox.wake()

    def log_edits(self) -> None:
        """Logs all edits of the study as one file, and the budget that they leave, soon; nothing if there is
        none since the last call.
        """
        text = edits_text(self._plan.folder)
        if text != self._edits_sent and not self._is_over:
            self._edits_sent = text
            self._delivery.log.append(
                Text(path=EDITS_FILE, content=text), *_extensions(self._plan.spec.budget, edits_in(text))
            )
            self._outbox.wake()

    def close_soon(self, trial: Trial, name: str | None = None) -> None:
        """Sets the true status of an ended trial's run: its process does not know that it was stopped.

        `name` is what the run is called, where that is not the trial's name.
        """
        self._close(RunLog(self._delivery.log.folder, name or names.trial_name(trial.number)), trial)

    def close_trials(
        self, record: StudyRecord, run_tags: Callable[[int], Mapping[str, str]] = names.trial_tags
    ) -> None:
        """Sets every trial's run to the status in the record, also where its process died, and notes its id.

        `run_tags` gives the tags that identify a trial's run. Returns once MLflow has all of it; raises
        TrackingError if it takes nothing for two minutes.
        """
        trials = {_identity(run_tags(trial.number)): trial for trial in record.trials}
        for log in logs_in(self._delivery.log.folder):
            opened = next((one for one in log.records if isinstance(one, Opened)), None)
            if opened is not None and (trial := trials.get(_identity(opened.tags))) is not None:
                self._close(log, trial)
        self._catch_up()
        self._note_runs(record, trials)

    def end(
        self,
        status: str,
        leaderboard: list[dict[str, Any]],
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
    ) -> None:
        """Logs leaderboard, final metrics and cost, and ends the run as FINISHED, FAILED or KILLED
        (interrupted).

        Returns once MLflow has all of it; raises TrackingError if it takes nothing for two minutes. The first
        call counts.
        """
        if self._is_over:
            return
        self.log_edits()
        self._is_over = True
        cost = Cost.of(self._record, self._plan.spec.budget.epochs, self._plan.folder)
        self._delivery.log.append(
            *([_json("leaderboard.json", {"trials": leaderboard})] if leaderboard else []),
            _json("cost.json", cost.to_dict()),
            Described(
                metrics={**metrics, **{names.cost_metric(name): value for name, value in cost.sums.items()}},
                milliseconds=_now(),
            ),
            Ended(status=status, tags=tags, milliseconds=_now()),
        )
        self._outbox.leave(self._delivery, delete)
        try:
            self._catch_up()
        finally:
            self._outbox.close()
        remove_if_empty(self._plan.folder)

    def _close(self, log: RunLog, trial: Trial) -> None:
        """The true status of one trial's run; a trial that was cut off is KILLED, until it goes on."""
        if not log.exists:
            return  # MLflow has all of it
        ended = end_of_trial(trial)
        relevant = [record for record in log.records if isinstance(record, Opened | Ended)]
        last = relevant[-1] if relevant else None
        if not isinstance(last, Ended) or (last.status, dict(last.tags)) != (ended.status, ended.tags):
            log.append(ended)
        self._outbox.leave(self._outbox.hold(log), self._settle if trial.has_ended else None)

    def _settle(self, delivery: Delivery) -> bool:
        """Deletes the log of a trial that has ended; the pictures of one whose process died are drawn
        first.
        """
        relevant = [record for record in delivery.log.records if isinstance(record, Measured | Pictures)]
        if relevant and isinstance(relevant[-1], Measured):
            delivery.log.append(
                Pictures(
                    classes=self._plan.manifest.classes,
                    dataset_folder=str(self._plan.dataset_folder),
                    is_folded=self._plan.spec.num_folds is not None,
                )
            )
            return False
        delivery.log.delete()
        return True

    def _catch_up(self) -> None:
        try:
            catch_up(
                self._outbox, self.client.tracking_uri, self._plan.folder, self._say, self._patience_seconds
            )
        except BaseException:
            self._patience_seconds = SECONDS_AFTER_GIVING_UP
            raise

    def _note_runs(self, record: StudyRecord, trials: Mapping[frozenset[tuple[str, str]], Trial]) -> None:
        """Notes the ids of runs that were opened after the trial's last report, and forgets their logs."""
        late: dict[int, str] = {}
        known = [(log, log.sent) for log in logs_in(self._delivery.log.folder)]
        for _, sent in known:
            trial = trials.get(_identity(sent.tags))
            if trial is not None and trial.run_id is None and sent.run_id is not None:
                late[trial.number] = sent.run_id
        record.note_runs(late)
        for log, sent in known:
            if not log.exists and _identity(sent.tags) in trials:
                log.forget()


def _description(plan: Plan) -> list[LogRecord]:
    spec, changes = plan.spec, local_changes()
    params = {
        "search_space": spec.search_space,
        "objective": spec.objective.metric,
        "epochs": spec.budget.epochs,
        "early_stopping": spec.early_stopping.rule,
        "seed": spec.seed,
        **({} if spec.num_folds is None else {"folds": spec.num_folds}),
    }
    return [
        Described(params={key: str(value) for key, value in params.items()}),
        dataset_used(plan.manifest),
        Text(path="study.yaml", content=yaml_text(spec.to_public_dict())),
        _json("environment.json", environment()),
        *([Text(path="changes.diff", content=changes)] if changes else []),
        *([Text(path=STARTS_FILE, content=plan.earlier.to_json())] if spec.earlier else []),
    ]


def _extensions(budget: Budget, edits: Sequence[Edit]) -> list[Described]:
    """The budget after each edit that extended it, as of that edit's time: sent twice it is one for
    MLflow.
    """
    return [
        _budget(extended_budget(budget, edits[: number + 1]), round(edit.time * 1000))
        for number, edit in enumerate(edits)
        if edit.kind == "extend"
    ]


def _budget(budget: Budget, milliseconds: int) -> Described:
    limits = {"trials": budget.trials, "hours": budget.hours}
    return Described(
        tags={names.BUDGET: budget_sentence(budget)},
        metrics={names.budget_metric(name): value for name, value in limits.items() if value is not None},
        milliseconds=milliseconds,
    )


def _identity(tags: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((key, value) for key, value in tags.items() if key in names.TRIAL_IDENTITY)


def _json(path: str, tree: Mapping[str, Any]) -> Text:
    return Text(path=path, content=json.dumps(tree, indent=2) + "\n")


def _now() -> int:
    return int(time.time() * 1000)
