"""The log of decisions on a dataset's model, in MLflow: appended to, never changed, and by one person at a
time.

It is one run, in which decision 7 is the parameter `decision-0007`, and its tables are others: MLflow lets
nobody change a parameter, and of two processes that append the same number its database refuses the second.
The run is found by an experiment that nothing is logged into: its name is unique in any of MLflow's
databases, and the tag with the run's id is written with it in one transaction. Nothing of this depends on
files.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from study import names
from study.connections.mlflow_client import artifact_location, prepare_experiment
from study.errors import ConflictError
from study.home import Home
from study.registry.decisions import Decision

if TYPE_CHECKING:
    from mlflow import MlflowClient

PART_LENGTH, PARAMS_PER_BATCH = 5_900, 100
"""Characters of a parameter, and parameters of a batch, that MLflow takes."""


class DecisionLog:
    """The decisions on one model, as they stood when the log was last read."""

    def __init__(self, client: "MlflowClient", home: Home, model: str, run_id: str | None) -> None:
        self._client = client
        self._home = home
        self.model = model
        self._run_id = run_id
        self._params: dict[str, str] = {}
        self.decisions: tuple[Decision, ...] = ()

    @classmethod
    def read(cls, client: "MlflowClient", home: Home, model: str) -> "DecisionLog":
        """The log of a model; an empty one where nothing was decided yet."""
        log = cls(client, home, model, _find_run(client, model))
        log.refresh()
        return log

    def refresh(self) -> None:
        """Reads the log again."""
        self._params = {} if self._run_id is None else self._client.get_run(self._run_id).data.params
        decisions: list[Decision] = []
        while text := self._params.get(names.decision_name(len(decisions) + 1)):
            decisions.append(Decision.from_text(text))
        self.decisions = tuple(decisions)

    def append(self, decision: Decision, tables: Mapping[str, Any] | None) -> None:
        """Appends the decision, with its tables of evidence.

        Raises ConflictError if somebody was faster; then nothing was added.
        """
        from mlflow.exceptions import MlflowException

        run_id = self._run_id = self._run_id or _open_run(self._client, self._home, self.model)
        if tables is not None:
            self._write_tables(run_id, decision, tables)
        number = len(self.decisions) + 1
        try:
            self._client.log_param(run_id, names.decision_name(number), decision.to_text())
        except MlflowException:
            self.refresh()
            # The answer to a parameter that was written may be lost, so that MLflow's client sent it twice.
            if len(self.decisions) < number:
                raise
        else:
            self.refresh()
        if self.decisions[number - 1].key != decision.key:
            raise ConflictError(_conflict(self.model, self.decisions[number - 1]))

    def tables(self, decision: Decision) -> dict[str, Any] | None:
        """The tables of evidence; None where the decision has none."""
        parts: list[str] = []
        while part := self._params.get(names.evidence_name(decision.key, len(parts) + 1)):
            parts.append(part)
        return dict(json.loads("".join(parts))) if parts else None

    def _write_tables(self, run_id: str, decision: Decision, tables: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        text = json.dumps(tables, separators=(",", ":"))
        parts = [text[start : start + PART_LENGTH] for start in range(0, len(text), PART_LENGTH)]
        params = [
            Param(names.evidence_name(decision.key, number), part)
            for number, part in enumerate(parts, start=1)
        ]
        for start in range(0, len(params), PARAMS_PER_BATCH):
            self._client.log_batch(run_id, params=params[start : start + PARAMS_PER_BATCH])


def _find_run(client: "MlflowClient", model: str) -> str | None:
    found = client.get_experiment_by_name(names.decisions_name(model))
    return None if found is None else str(found.tags[names.DECISIONS_RUN])


def _open_run(client: "MlflowClient", home: Home, model: str) -> str:
    """The log's run, created if it is missing; of two processes that create it, one takes the other's."""
    from mlflow.exceptions import MlflowException

    experiment_id = prepare_experiment(client, home, model)
    # As old as the experiment, for MLflow's pages show the newest runs first, and this one is no training.
    oldest = client.get_experiment(experiment_id).creation_time
    run_id = _left_or_new_run(client, model, experiment_id, oldest)
    client.set_terminated(run_id, "FINISHED", oldest)  # which keeps nobody from adding to it
    try:
        client.create_experiment(
            names.decisions_name(model),
            artifact_location=artifact_location(client, home, names.decisions_name(model)),
            tags={
                names.DECISIONS_RUN: run_id,
                names.NOTE: f"Leads to the log of decisions on the model `{model}`; without it the log is "
                f"lost. To read the log: `study history {model}`",
                **names.EXPERIMENT_KIND,
            },
        )
    except MlflowException as error:
        found = _find_run(client, model)
        if found != run_id:
            client.delete_run(run_id)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
            raise
        return found
    return run_id


def _left_or_new_run(client: "MlflowClient", model: str, experiment_id: str, start_time: int | None) -> str:
    """The run that a process made which died, or is about to make it the log's, or else a new one."""
    found = client.search_runs([experiment_id], f"tags.`{names.KIND}` = 'decisions'", max_results=1)
    if found:
        return str(found[0].info.run_id)
    tags = {**names.DECISIONS_RUN_TAGS, names.NOTE: _about(model)}
    return str(client.create_run(experiment_id, start_time=start_time, tags=tags).info.run_id)


def _about(model: str) -> str:
    return (
        f"Who promoted, refused or took back which version of the model `{model}`: one parameter for each "
        f"decision. To read it: `study history {model}`"
    )


def _conflict(model: str, other: Decision) -> str:
    verb = {
        "promoted": "promoted",
        "adopted": "adopted",
        "rolled back": "went back to",
        "refused": "was refused",
    }[other.kind]
    return (
        f"{other.user} {verb} {model} version {other.version} at {other.time}, while you decided; nothing of "
        "yours was done: "
        f"see it, then decide again: study history {model}"
    )
