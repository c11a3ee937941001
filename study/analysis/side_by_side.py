"""Studies side by side, also across datasets and objectives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search_spaces.dimensions import Value
from study.analysis.chance import shown_to_matter
from study.analysis.effects import Marginals, shown_values
from study.analysis.scored_trials import ScoredTrial, scored_trials
from study.analysis.varied_dimensions import VariedDimension
from study.errors import SpecError
from study.results.study_result import StudyResult

NOT_COMPARED = ("study", "about", "tags", "search_storage", "start_from")
"""Keys of a study file that say nothing of how it searched."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class BestOf:
    """The best of one study."""

    study: str
    dataset: str
    objective: str
    num_trials: int
    """That ended with a value."""
    value: float
    """The first objective of the best trial on validation: the best of many, so it flatters."""
    confirmed: Measured | None
    """Mean over further seeds of the configuration that was chosen; None where nothing was confirmed, or too
    little for an interval."""
    accuracy_on_test: Measured | None
    """None where the study has not ended."""
    seconds: float
    """Of training and validating."""
    gpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class Win:
    """Which value of a dimension won in one study."""

    study: str
    value: float | str
    """With the best mean of the marginal effect."""
    mean: float
    """Of the standing in [0, 1] within the study: 1 for the best trial, 0 for the worst, by rank."""
    low: float
    high: float
    """Ends of the 95 % interval of the mean."""
    ties: tuple[float | str, ...]
    """Other values that the trials cannot tell from it, with 95 % confidence."""
    is_beyond_chance: bool
    """Whether the trials show that the dimension has an influence at all; where not, nothing won."""


@dataclass(frozen=True, kw_only=True)
class StudyComparison:
    """Some studies, side by side."""

    best: tuple[BestOf, ...]
    """In the order in which the studies were named."""
    settings: Mapping[str, tuple[str, ...]]
    """Keys of the study file that differ, with the value in each study; `-` where it has none."""
    wins: Mapping[str, tuple[Win | None, ...]]
    """By dimension that varied in at least one study: who won in each, None where it did not vary or trials
    are too few."""
    remarks: tuple[str, ...]
    """What the reader must know, such as that values of different objectives cannot be compared."""


def compare_studies(results: Sequence[StudyResult]) -> StudyComparison:
    """At least two different studies, side by side. Raises SpecError for fewer, and, in one message, for all
    that have no value yet.
    """
    names = [result.spec.study for result in results]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise SpecError(
            f"study compare takes at least two different studies, got {', '.join(names) or 'none'}; see "
            "them: study list"
        )
    empty = [result.spec.study for result in results if result.best is None or not scored_trials(result)]
    if empty:
        raise SpecError(
            f"no trial of {', '.join(empty)} has ended with a value and kept all constraints, so there is "
            f"nothing to compare; wait "
            f"for some, or leave {'it' if len(empty) == 1 else 'them'} out"
        )
    return StudyComparison(
        best=tuple(map(_best, results)),
        settings=_settings(results),
        wins=_wins(results),
        remarks=_remarks(results),
    )


def _best(result: StudyResult) -> BestOf:
    assert result.best is not None
    assert result.best.value is not None
    return BestOf(
        study=result.spec.study,
        dataset=result.spec.dataset,
        objective=result.spec.objective.metric,
        num_trials=len(scored_trials(result)),
        value=result.best.value,
        confirmed=_confirmed(result),
        accuracy_on_test=_accuracy(result),
        seconds=result.cost.seconds,
        gpu_seconds=result.cost.gpu_seconds,
    )


def _confirmed(result: StudyResult) -> Measured | None:
    rows = () if result.final is None else result.final.confirmed
    chosen = next((row for row in rows if row.is_chosen), None)
    if chosen is None or chosen.mean is None or chosen.half_width is None:
        return None
    mean, half = chosen.mean, chosen.half_width
    return Measured(value=mean, low=mean - half, high=mean + half)


def _accuracy(result: StudyResult) -> Measured | None:
    if result.final is None or "accuracy" not in result.final.test.metrics:
        return None
    found = result.final.test.metrics["accuracy"]
    return Measured(value=found.value, low=found.low, high=found.high)


def _settings(results: Sequence[StudyResult]) -> dict[str, tuple[str, ...]]:
    flat = [
        _flat({key: value for key, value in result.spec.to_dict().items() if key not in NOT_COMPARED})
        for result in results
    ]
    keys = dict.fromkeys(key for one in flat for key in one)
    rows = {key: tuple(one.get(key, "-") for one in flat) for key in keys}
    return {key: row for key, row in rows.items() if len(set(row)) > 1}


def _flat(tree: Mapping[str, object], before: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{before}{key}.")
        elif value not in (None, {}, [], ()):
            flat[f"{before}{key}"] = _text(value)
    return flat


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return " ".join(f"{key} {_text(one)}" for key, one in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wins(results: Sequence[StudyResult]) -> dict[str, tuple[Win | None, ...]]:
    by_value = [Marginals(result) for result in results]
    by_rank = [Marginals(result, standing_trials(result)) for result in results]
    matters = [shown_to_matter(marginals) for marginals in by_value]
    names = dict.fromkeys(one.name for marginals in by_value for one in marginals.dimensions)
    rows = {
        name: tuple(
            _win(result, values, ranks, name, is_shown)
            for result, values, ranks, is_shown in zip(results, by_value, by_rank, matters, strict=True)
        )
        for name in names
    }
    return {name: row for name, row in rows.items() if any(win is not None for win in row)}


def standing_trials(result: StudyResult) -> tuple[ScoredTrial, ...]:
    """The trials that count, valued by their standing: 1 for the best, 0 for the worst, equal ones alike."""
    from scipy.stats import rankdata

    trials, merit = scored_trials(result), result.spec.objective.merit
    ranks = rankdata([merit(trial.value) for trial in trials])
    return tuple(
        ScoredTrial(
            number=trial.number,
            point=trial.point,
            value=float(rank - 1) / max(len(trials) - 1, 1),
        )
        for trial, rank in zip(trials, ranks, strict=True)
    )


def _win(
    result: StudyResult, values: Marginals, ranks: Marginals, name: str, matters: Mapping[str, bool]
) -> Win | None:
    """The winner and its ties by values, as `study show --importance` has them; its standing by ranks, which
    other studies have alike.
    """
    dimension = values.dimension(name)
    if dimension is None:
        return None
    shown = shown_values(dimension, [point[name] for point in values.points if dimension.has(point)])
    changes = [{name: value} for value in shown]
    objective = result.spec.objective
    means = [estimate.mean for estimate in values.model().differences(changes, changes[0])]
    place = max(range(len(shown)), key=lambda index: objective.merit(means[index]))
    losses = values.model().differences(changes, changes[place])
    ties = [
        _shown(dimension, value)
        for index, (value, loss) in enumerate(zip(shown, losses, strict=True))
        if index != place and (loss.high >= 0 if objective.maximise else loss.low <= 0)
    ]
    (standing,) = ranks.model().estimates([changes[place]], [dimension.has(point) for point in ranks.points])
    return Win(
        study=result.spec.study,
        value=_shown(dimension, shown[place]),
        mean=min(max(standing.mean, 0.0), 1.0),
        low=max(standing.low, 0.0),
        high=min(standing.high, 1.0),
        ties=tuple(ties),
        is_beyond_chance=matters[name],
    )


def _shown(dimension: VariedDimension, value: Value) -> float | str:
    return str(value) if dimension.options else float(value)


def _remarks(results: Sequence[StudyResult]) -> tuple[str, ...]:
    remarks = []
    objectives = dict.fromkeys(result.spec.objective.metric for result in results)
    datasets = dict.fromkeys(result.spec.dataset for result in results)
    if len(objectives) > 1:
        remarks.append(
            f"The studies have different objectives ({', '.join(objectives)}), so their values cannot be "
            "compared; what wins is compared by the standing of trials within each study."
        )
    if len(datasets) > 1:
        remarks.append(
            f"The studies are on different datasets ({', '.join(datasets)}), so a higher value is no better "
            "study; what wins is compared by the standing of trials within each study."
        )
    running = [result.spec.study for result in results if not result.has_ended]
    if running:
        remarks.append(f"Not ended yet, so its numbers may change: {', '.join(running)}.")
    return tuple(remarks)
