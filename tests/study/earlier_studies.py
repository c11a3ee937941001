"""Earlier studies in a real MLflow on SQLite, as a study leaves them there, made without training."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlflow.entities import Metric, Param

from search_spaces.space import Point
from study import names
from study.connections.mlflow_client import connect, prepare_experiment
from study.home import Home
from study.planning.dataset_similarity import DatasetTraits
from trainables.datasets.manifest import Manifest

POINT: Point = {
    "architecture": "cnn2-32x64",
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "batch_size": 64,
    "label_smoothing": 0.0,
    "augmentation_strength": 0.1,
    "dropout": 0.1,
}
"""Of the space `digits`."""


def traits_of(home: Home, dataset: str = "digits", **changes: Any) -> DatasetTraits:
    """The traits of digits with some of them changed."""
    return replace(DatasetTraits.of(Manifest.read(home.datasets / "digits")), **{"name": dataset, **changes})


def earlier_study(
    home: Home,
    name: str,
    trials: Sequence[tuple[float, Mapping[str, Any]]],
    *,
    traits: DatasetTraits | None = None,
    objective: str = "macro_f1",
    num_folds: int | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """A study whose trials came to a value each with a point that differs from `POINT` as said."""
    client = connect(home.tracking_uri)
    traits = traits or traits_of(home)
    experiment = prepare_experiment(client, home, traits.name)
    parent = client.create_run(
        experiment, run_name=name, tags={names.STUDY: name, names.DATASET_TRAITS: traits.to_json()}
    ).info.run_id
    client.log_param(parent, "objective", objective)
    if num_folds is not None:
        client.log_param(parent, "folds", num_folds)
    for number, (value, changes) in enumerate(trials):
        known = {
            names.PARENT: parent,
            names.STUDY: name,
            names.STATE: "complete",
            names.USER: "ada",
            **names.trial_tags(number),
        }
        point = {names.POINT: json.dumps({**POINT, **changes})}
        run = client.create_run(
            experiment, run_name=names.trial_name(number), tags={**known, **point, **(tags or {})}
        ).info.run_id
        metrics = {
            f"best/{objective}": value,
            f"validation/{objective}": value - 0.01,
            "validation/macro_f1": value - 0.01,
        }
        client.log_batch(
            run,
            metrics=[Metric(key, number, 0, 1) for key, number in metrics.items()],
            params=[Param("learning_rate", "0.001")],
        )
