"""How MLflow's pages show the runs of an experiment: the best first, with the objective of its studies as the
first column.

Left to itself, MLflow shows no metric. It takes a view from a tag of the experiment, where its own button
"Share" puts one, and shows it at an address with the tag's name.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from study import names
from study.connections.mlflow_client import all_pages
from study.study_file.measures import MEASURES
from study.study_file.objective import Objective

if TYPE_CHECKING:
    from mlflow import MlflowClient

TRAINING = "workflowType=machine_learning"
"""Without it, and anywhere before the `#`, MLflow opens its pages on language models."""
VIEW = "viewStateShareKey"
_MODELS = "attributes.`Models`"
"""The column with the registered version of a run."""
_DURATION = "attributes.`Duration`"
_DIMENSIONS = ("architecture", "freeze_depth", "learning_rate", "optimizer", "batch_size")
"""What people look at first; a dimension that no run has stays an empty column."""


def offer_view(client: "MlflowClient", experiment_id: str, objectives: Sequence[Objective]) -> None:
    """Puts the view of these objectives on the experiment, unless it is there."""
    key = names.view_tag(objectives[0].metric)
    if key not in client.get_experiment(experiment_id).tags:
        client.set_experiment_tag(experiment_id, key, json.dumps(_view(objectives)))


def experiments_page(pages: str) -> str:
    """The address of the list of experiments; `pages` is where MLflow listens."""
    return f"{pages}/#/experiments?{TRAINING}"


def links(client: "MlflowClient", pages: str) -> list[tuple[str, str, str]]:
    """Experiment, objective and address of each view; `pages` is where MLflow listens."""
    return [
        (
            found.name,
            metric,
            f"{pages}/#/experiments/{found.experiment_id}/runs?{TRAINING}&{VIEW}={names.view_name(metric)}",
        )
        for found in all_pages(client.search_experiments, order_by=["name"])
        for key in sorted(found.tags)
        if (metric := names.view_of_tag(key)) is not None
    ]


def _view(objectives: Sequence[Objective]) -> dict[str, object]:
    first = objectives[0].metric
    further = [one.metric for one in objectives[1:] if one.metric not in MEASURES]
    metrics = [
        names.best_metric(first),
        *(names.validation_metric(metric) for metric in (*further, "accuracy")),
        names.metric_on_test_split(first),
        names.metric_on_test_split("accuracy"),
    ]
    columns = [f"metrics.`{name}`" for name in dict.fromkeys(metrics)]
    return {
        "selectedColumns": [*columns, _MODELS, _DURATION, *(f"params.`{name}`" for name in _DIMENSIONS)],
        "orderByKey": columns[0],
        "orderByAsc": not objectives[0].maximise,
    }
