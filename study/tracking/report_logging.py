"""A study's report in its run on MLflow's pages: the file among the artifacts, the summary as description."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from study import names
from study.connections.mlflow_client import tracking_errors
from study.tracking.descriptions import ended_description
from study.tracking.objective_view import TRAINING

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_report(
    client: "MlflowClient",
    run_id: str,
    file: Path,
    summary: Sequence[str],
    runs: Mapping[str, str],
    models: Mapping[str, tuple[str, int]],
) -> None:
    """Adds the report to the study's run, and puts the summary before its description, with links.

    `runs` are ids of runs by the text of their link, `models` versions of registered models. A report that is
    there is replaced. Raises TrackingError.
    """
    with tracking_errors(client.tracking_uri):
        run = client.get_run(run_id)
        pages = f"#/experiments/{run.info.experiment_id}/runs"
        links = {
            "the report, with pictures": f"{pages}/{run_id}/artifacts/{file.name}?{TRAINING}",
            **{text: f"{pages}/{one}?{TRAINING}" for text, one in runs.items()},
            **{text: f"#/models/{model}/versions/{number}" for text, (model, number) in models.items()},
        }
        client.log_artifact(run_id, str(file))
        client.set_tag(
            run_id, names.NOTE, ended_description(run.data.tags.get(names.NOTE, ""), summary, links)
        )
