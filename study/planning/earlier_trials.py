"""The best trials of earlier studies, found in MLflow: those of similar datasets first."""

import difflib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from search_spaces.dimensions import Value
from search_spaces.space import Point
from study import names
from study.connections.mlflow_client import connect, tracking_errors
from study.errors import SpecError
from study.names import trial_name
from study.planning.dataset_similarity import DatasetTraits
from study.study_file.objective import Objective
from study.study_file.start_from import EarlierBest

MAX_TRIALS_OF_A_STUDY = 10
"""The best ones of each study are looked at; the others are more of the same."""
_EXPERIMENTS_A_CALL = 100
_RUNS_A_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class EarlierTrial:
    """A complete trial of an earlier study, as MLflow knows it."""

    study: str
    trial: int
    dataset: str
    similarity: float
    """Of its dataset to the new study's, as `DatasetTraits` compares them."""
    metric: str
    """What it was judged by."""
    value: float | None
    run_id: str
    user: str
    point: Point | None
    """None where its run does not say it."""
    continues: str | None
    """The trial that it went on from, if it is one of a population."""

    @property
    def origin(self) -> str:
        """How it is called."""
        return f"{trial_name(self.trial)} of {self.study} on {self.dataset}"

    def __str__(self) -> str:
        score = "" if self.value is None else f", {self.metric} {self.value:.4f}"
        return f"{self.origin} (similarity {self.similarity:.2f}{score}{f', by {self.user}' if self.user else ''})"


@dataclass(frozen=True, kw_only=True)
class _Study:
    name: str
    run_id: str
    experiment_id: str
    begun: int
    """Milliseconds since 1970."""
    objective: str | None
    traits: DatasetTraits
    similarity: float


def earlier_trials(tracking_uri: str, wanted: EarlierBest, traits: DatasetTraits, objective: Objective) -> Iterator[EarlierTrial]:
    """Complete trials of earlier studies, those of the dataset most similar to `traits` first, and of one dataset the best first.

    All studies of the MLflow server count, whoever ran them. Raises SpecError for a name that no study or dataset there has,
    TrackingError.
    """
    client = connect(tracking_uri)
    with tracking_errors(tracking_uri):
        studies = _studies(client, wanted, traits)
        for _, of_dataset in groupby(studies, lambda study: (study.similarity, study.traits.digest)):
            found = [candidate for study in of_dataset for candidate in _best_trials(client, study, objective)]
            yield from sorted(found, key=lambda candidate: _rank(candidate, objective))


def _studies(client: Any, wanted: EarlierBest, traits: DatasetTraits) -> list[_Study]:
    """Those that are asked for, by the similarity of their datasets; the study's own dataset comes before one just like it."""
    known = [study for run in _runs_of_studies(client) if (study := _study(run, traits)) is not None]
    _check_known("study", wanted.studies, [study.name for study in known])
    _check_known("dataset", wanted.of, [study.traits.name for study in known])
    asked = [
        study
        for study in known
        if (not wanted.studies or study.name in wanted.studies) and (not wanted.of or study.traits.name in wanted.of)
    ]
    return sorted(asked, key=lambda study: (-study.similarity, study.traits.digest != traits.digest, study.traits.digest, -study.begun))


def _runs_of_studies(client: Any) -> Iterator[Any]:
    experiments = list(_pages(lambda token: client.search_experiments(max_results=_RUNS_A_PAGE, page_token=token)))
    query = f"tags.`{names.DATASET_TRAITS}` LIKE '{{%'"
    for start in range(0, len(experiments), _EXPERIMENTS_A_CALL):
        ids = [experiment.experiment_id for experiment in experiments[start : start + _EXPERIMENTS_A_CALL]]
        yield from _pages(lambda token, ids=ids: client.search_runs(ids, query, max_results=_RUNS_A_PAGE, page_token=token))


def _pages(call: Any) -> Iterator[Any]:
    token = None
    while True:
        page = call(token)
        yield from page
        token = page.token
        if not token:
            return


def _study(run: Any, traits: DatasetTraits) -> _Study | None:
    """The study that a run is of; None where its tag was not written by us."""
    try:
        its_traits = DatasetTraits.read(run.data.tags[names.DATASET_TRAITS])
        similarity = traits.similarity(its_traits)
    except (ValueError, TypeError, ArithmeticError):
        return None
    return _Study(
        name=run.data.tags.get(names.STUDY, run.info.run_name),
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        begun=run.info.start_time,
        objective=run.data.params.get("objective"),
        traits=its_traits,
        similarity=similarity,
    )


def _check_known(what: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            listed = ", ".join(sorted(set(known))) or "none"
            raise SpecError(f"start_from: MLflow holds no earlier study {_OF[what]} {name!r}; there are: {listed}{hint}")


_OF = {"study": "named", "dataset": "of dataset"}


def _best_trials(client: Any, study: _Study, objective: Objective) -> list[EarlierTrial]:
    """Its best complete trials by the objective: at their best epoch where the study had the same one, else at their last."""
    metric = f"{'best' if study.objective == objective.metric else 'validation'}/{objective.metric}"
    runs = client.search_runs(
        [study.experiment_id],
        f"tags.`{names.PARENT}` = '{study.run_id}' and tags.`{names.STATE}` = 'complete' and tags.`{names.TRIAL}` LIKE '%'",
        max_results=MAX_TRIALS_OF_A_STUDY,
        order_by=[f"metrics.`{metric}` {'DESC' if objective.maximise else 'ASC'}"],
    )
    return [_candidate(run, study, metric) for run in runs]


def _candidate(run: Any, study: _Study, metric: str) -> EarlierTrial:
    tags, value = run.data.tags, run.data.metrics.get(metric, math.nan)
    when, name = metric.split("/")
    return EarlierTrial(
        study=study.name,
        trial=int(tags[names.TRIAL]),
        dataset=study.traits.name,
        similarity=study.similarity,
        metric=name if when == "best" else f"{name} at its last epoch",
        value=None if math.isnan(value) else value,
        run_id=run.info.run_id,
        user=tags.get(names.USER, ""),
        point=_point(tags.get(names.POINT, "")),
        continues=tags.get(names.CONTINUES),
    )


def _point(text: str) -> Point | None:
    """What a run says of its configuration; None where that is nothing, or none of ours."""
    try:
        point = json.loads(text)
    except ValueError:
        return None
    return point if isinstance(point, dict) and all(isinstance(value, Value) for value in point.values()) else None


def _rank(candidate: EarlierTrial, objective: Objective) -> tuple[bool, float]:
    value = candidate.value or 0.0
    return candidate.value is None, -value if objective.maximise else value
