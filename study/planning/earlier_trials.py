"""The best trials of earlier studies, found in MLflow: those of similar datasets first."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from search_spaces.dimensions import Value
from search_spaces.errors import did_you_mean
from search_spaces.space import Point
from study import names
from study.connections.mlflow_client import all_pages, connect, tracking_errors
from study.connections.mlflow_database import sqlite_file
from study.errors import SpecError
from study.names import trial_name
from study.planning.dataset_similarity import DatasetTraits
from study.study_file.objective import Objective
from study.study_file.start_from import EarlierBest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MAX_TRIALS_OF_A_STUDY = 10
"""The best trials of each study that are looked at."""
_EXPERIMENTS_A_CALL = 100
_RUNS_A_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class EarlierTrial:
    """A complete trial of an earlier study, as MLflow knows it."""

    study: str
    number: int
    dataset: str
    similarity: float
    """Of its dataset to the new study's, as `DatasetTraits` compares them."""
    metric: str
    """What it is ranked by."""
    value: float | None
    num_folds: int | None = None
    """Over how many folds the value is a mean; None where it is of the validation split."""
    run_id: str
    user: str
    point: Point | None
    """None where its run does not say it."""
    continues: str | None
    """The trial that it went on from, if it is one of a population."""

    @property
    def origin(self) -> str:
        """Its name, its study and its dataset."""
        return f"{trial_name(self.number)} of {self.study} on {self.dataset}"

    def __str__(self) -> str:
        folds = "" if self.num_folds is None else f" over {self.num_folds} folds"
        score = "" if self.value is None else f", {self.metric} {self.value:.4f}{folds}"
        return (
            f"{self.origin} (similarity "
            f"{self.similarity:.2f}{score}{f', by {self.user}' if self.user else ''})"
        )


@dataclass(frozen=True, kw_only=True)
class _Study:
    name: str
    run_id: str
    experiment_id: str
    begun: int
    """Milliseconds since 1970."""
    objective: str | None
    num_folds: int | None
    traits: DatasetTraits
    similarity: float


def earlier_trials(
    tracking_uri: str,
    wanted: EarlierBest,
    traits: DatasetTraits,
    objective: Objective,
    num_folds: int | None = None,
) -> Iterator[EarlierTrial]:
    """Complete trials of earlier studies: of the dataset most similar to `traits` first, then the best first.

    Means over folds and values of the validation split do not compare: of one dataset, the studies with
    `num_folds` folds, as the new one has them, come first, and each number of folds is ranked by itself.

    All studies of the MLflow server count, whoever ran them. Raises SpecError for a name that no study or
    dataset there has, TrackingError.
    """
    file = sqlite_file(tracking_uri)
    if file is not None and not file.exists():  # looking for studies makes no database
        _check_known("study", wanted.studies, [])
        _check_known("dataset", wanted.of, [])
        return
    client = connect(tracking_uri)
    with tracking_errors(tracking_uri):
        studies = _studies(client, wanted, traits, num_folds)
        for _, comparable in groupby(
            studies, lambda study: (study.similarity, study.traits.digest, study.num_folds)
        ):
            found = [trial for study in comparable for trial in _best_trials(client, study, objective)]
            yield from sorted(found, key=lambda trial: _rank(trial, objective))


def _studies(
    client: "MlflowClient", wanted: EarlierBest, traits: DatasetTraits, num_folds: int | None
) -> list[_Study]:
    """The wanted studies by the similarity of their datasets; the study's own dataset comes first among
    equals, and of one dataset its own number of folds.
    """
    known = [study for run in _runs_of_studies(client) if (study := _study(run, traits)) is not None]
    _check_known("study", wanted.studies, [study.name for study in known])
    _check_known("dataset", wanted.of, [study.traits.name for study in known])
    found = [
        study
        for study in known
        if (not wanted.studies or study.name in wanted.studies)
        and (not wanted.of or study.traits.name in wanted.of)
    ]
    return sorted(
        found,
        key=lambda study: (
            -study.similarity,
            study.traits.digest != traits.digest,
            study.traits.digest,
            study.num_folds != num_folds,
            study.num_folds or 0,
            -study.begun,
        ),
    )


def _runs_of_studies(client: "MlflowClient") -> "Iterator[Run]":
    experiments = list(all_pages(client.search_experiments, max_results=_RUNS_A_PAGE))
    query = f"tags.`{names.DATASET_TRAITS}` LIKE '{{%'"
    for start in range(0, len(experiments), _EXPERIMENTS_A_CALL):
        ids = [experiment.experiment_id for experiment in experiments[start : start + _EXPERIMENTS_A_CALL]]
        yield from all_pages(
            client.search_runs, experiment_ids=ids, filter_string=query, max_results=_RUNS_A_PAGE
        )


def _study(run: "Run", traits: DatasetTraits) -> _Study | None:
    """The study of a run; None where somebody else wrote its tag."""
    try:
        its_traits = DatasetTraits.read(run.data.tags[names.DATASET_TRAITS])
        similarity = traits.similarity(its_traits)
        num_folds = run.data.params.get("folds")
    except (ValueError, ArithmeticError):
        return None
    return _Study(
        name=run.data.tags[names.STUDY],
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        begun=run.info.start_time,
        objective=run.data.params.get("objective"),
        num_folds=None if num_folds is None else int(num_folds),
        traits=its_traits,
        similarity=similarity,
    )


def _check_known(what: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            hint, listed = did_you_mean(name, known), ", ".join(sorted(set(known))) or "none"
            raise SpecError(
                f"start_from: MLflow holds no earlier study {_OF[what]} {name!r}; there are: {listed}{hint}"
            )


_OF = {"study": "named", "dataset": "of dataset"}


def _best_trials(client: "MlflowClient", study: _Study, objective: Objective) -> list[EarlierTrial]:
    """Its best complete trials: by the best epoch where its objective is the same, else by the last epoch."""
    is_same = study.objective == objective.metric
    metric = names.best_metric(objective.metric) if is_same else names.validation_metric(objective.metric)
    runs = client.search_runs(
        [study.experiment_id],
        f"tags.`{names.PARENT}` = '{study.run_id}' and tags.`{names.STATE}` = 'complete' and "
        f"tags.`{names.TRIAL}` LIKE '%'",
        max_results=MAX_TRIALS_OF_A_STUDY,
        order_by=[f"metrics.`{metric}` {'DESC' if objective.maximise else 'ASC'}"],
    )
    shown = objective.metric if is_same else f"{objective.metric} at its last epoch"
    return [_trial(run, study, run.data.metrics.get(metric, math.nan), shown) for run in runs]


def _trial(run: "Run", study: _Study, value: float, metric: str) -> EarlierTrial:
    tags = run.data.tags
    return EarlierTrial(
        study=study.name,
        number=int(tags[names.TRIAL]),
        dataset=study.traits.name,
        similarity=study.similarity,
        metric=metric,
        value=None if math.isnan(value) else value,
        num_folds=study.num_folds,
        run_id=run.info.run_id,
        user=tags.get(names.USER, ""),
        point=_point(tags.get(names.POINT, "")),
        continues=tags.get(names.CONTINUES),
    )


def _point(text: str) -> Point | None:
    """The configuration that a run's tag holds; None where it holds none of ours."""
    try:
        point = json.loads(text)
    except ValueError:
        return None
    return (
        point
        if isinstance(point, dict) and all(isinstance(value, Value) for value in point.values())
        else None
    )


def _rank(trial: EarlierTrial, objective: Objective) -> tuple[bool, float]:
    return trial.value is None, -objective.merit(trial.value or 0.0)
