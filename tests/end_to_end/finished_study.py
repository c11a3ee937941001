"""A study that came to its end, and where to look at it."""

from dataclasses import dataclass, field
from typing import Any

from study.home import Home
from study.results.study_result import StudyResult

SECRET = "planted-secret-7b1d"
"""Stands in the environment of the study's driver."""


@dataclass(frozen=True)
class Finished:
    """A study that came to its end, and where to look at it."""

    home: Home
    result: StudyResult
    client: Any
    told: list[dict[str, Any]] = field(default_factory=list)
    """The notices that were posted to a webhook, whose address holds the secret."""

    @property
    def parent(self) -> Any:
        return self.client.get_run(self.result.run_id)

    @property
    def children(self) -> dict[int, Any]:
        """MLflow runs of the trials, by number."""
        query = f"tags.`mlflow.parentRunId` = '{self.result.run_id}'"
        found = self.client.search_runs([self.parent.info.experiment_id], query, max_results=100)
        return {int(run.data.tags["study.trial"]): run for run in found}
