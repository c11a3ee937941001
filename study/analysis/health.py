"""Health cards: what a person should know before believing a study's numbers, each with a way out."""

from study.analysis.chance import shown_to_matter
from study.analysis.early_stopping_health import early_stopping_card
from study.analysis.effects import Marginals
from study.analysis.health_card import HealthCard
from study.analysis.label_health import label_card
from study.analysis.range_health import bound_cards
from study.analysis.words import listed, words
from study.evaluation.final_result import Candidate
from study.names import candidate_name
from study.results.study_result import StudyResult

__all__ = ["HealthCard", "health_cards", "too_few", "trials_missing"]

FEWEST_TRIALS = 10
ENOUGH_TRIALS, ENOUGH_FOR_EACH = 20, 3
"""Trials, and trials for each dimension, with which a dimension that decides a third of the differences is
hardly missed; with fewer, none that is seen may be for want of trials."""


def health_cards(result: StudyResult, marginals: Marginals | None = None) -> tuple[HealthCard, ...]:
    """At least one card of each kind, in the order of `Kind`, warnings first.

    `marginals` are those of this result, where they are known already.
    """
    marginals = Marginals(result) if marginals is None else marginals
    cards = [
        *bound_cards(result, marginals),
        *_influence_cards(result, marginals),
        early_stopping_card(result),
        _gap_card(result),
        label_card(result),
    ]
    return tuple(sorted(cards, key=lambda card: not card.is_warning))


def too_few(marginals: Marginals) -> bool:
    """Whether a dimension that decides much may be hidden for want of trials."""
    return bool(marginals.dimensions) and len(marginals.trials) < _enough(marginals)


def trials_missing(marginals: Marginals) -> int:
    """How many more trials would do; at least 1."""
    return max(_enough(marginals) - len(marginals.trials), 1)


def _enough(marginals: Marginals) -> int:
    return max(ENOUGH_TRIALS, ENOUGH_FOR_EACH * len(marginals.dimensions))


def _influence_cards(result: StudyResult, marginals: Marginals) -> list[HealthCard]:
    """Whether any dimension has an influence, or trials are too few to tell."""
    num, dimensions, study = len(marginals.trials), marginals.dimensions, result.spec.study
    matters = shown_to_matter(marginals) if num >= FEWEST_TRIALS else {}
    shown = [name.replace("_", " ") for name, is_shown in matters.items() if is_shown]
    are_too_few = num < FEWEST_TRIALS or (not shown and too_few(marginals))
    counted = f"{num} trial{'s' if num != 1 else ''} for {len(dimensions)} dimensions"
    few = HealthCard(
        kind="too_few_trials",
        is_warning=are_too_few,
        title="Too few trials to tell" if are_too_few else "Enough trials to tell something",
        sentence=(
            f"{counted} do not tell which of them matter."
            if are_too_few
            else f"{counted} tell that {listed(shown)} matter{'s' if len(shown) == 1 else ''}."
            if shown
            else f"{counted} would have shown a dimension that decides a third of the differences."
        ),
        way_out=(
            f"study extend {study} --trials {trials_missing(marginals)}, or a study that fixes the "
            "dimensions that other studies have settled."
            if are_too_few
            else None
        ),
    )
    matters_nothing = bool(dimensions) and not shown and not are_too_few
    nothing = HealthCard(
        kind="nothing_matters",
        is_warning=matters_nothing,
        title="Nothing matters"
        if matters_nothing
        else "Something matters"
        if shown
        else "Cannot tell whether anything matters",
        sentence=(
            f"None of {len(dimensions)} dimensions shows an influence in {num} trials beyond what chance "
            "gives: the differences between trials look like luck."
            if matters_nothing
            else f"The trials show an influence of {listed(shown)}."
            if shown
            else "No dimension varies among the trials."
            if not dimensions
            else "The trials are too few to tell."
        ),
        way_out=(
            "Take the cheapest configuration, and search something else: wider ranges, another architecture, "
            "more images or better labels."
            if matters_nothing
            else None
        ),
    )
    return [nothing, few]


def _gap_card(result: StudyResult) -> HealthCard:
    """Whether validation promised more than the test split kept."""
    objective, final = result.spec.objective, result.final
    candidate = (
        None if final is None else next((one for one in final.candidates if one.kind == "single"), None)
    )
    promised = None if final is None or candidate is None else validation_value(candidate, result)
    measured = None if candidate is None else candidate.test.metrics.get(objective.metric)
    if final is None:
        return _cannot_tell_gap("The test split has not been opened, so validation has not been checked.")
    if candidate is None or promised is None or measured is None:
        return _cannot_tell_gap("Values on validation and on the test split that compare are not known.")
    # The validation split chose; its own noise is taken to be that of the test split.
    half = (measured.high - measured.low) / 2 * 2**0.5
    lost = objective.merit(promised) - objective.merit(measured.value)
    is_warning = lost > half
    name = candidate_name(candidate.trial, candidate.seeds)
    sentence = (
        f"{name} has {words(objective.metric)} {promised:.4f} on validation and {measured.value:.4f} "
        f"({measured.low:.4f} to {measured.high:.4f}) on the test split: "
    )
    if lost < 5e-5:  # nothing with the digits that are shown
        sentence += "no worse."
    elif is_warning:
        sentence += f"{lost:.4f} worse, where chance explains up to {half:.4f}."
    else:
        sentence += f"{lost:.4f} worse, which chance explains: it makes up to {half:.4f}."
    return HealthCard(
        kind="validation_test_gap",
        is_warning=is_warning,
        title="Validation promised too much" if is_warning else "Validation and test agree",
        sentence=sentence,
        way_out=(
            "Believe the test split. Look for images that stand in both training and validation (study data "
            "show), choose by more images (validate: {folds: 5}), or confirm with further seeds (confirm: "
            "{top: 3, seeds: 3})."
            if is_warning
            else None
        ),
    )


def _cannot_tell_gap(sentence: str) -> HealthCard:
    return HealthCard(
        kind="validation_test_gap",
        is_warning=False,
        title="Validation not yet checked",
        sentence=sentence,
        way_out=None,
    )


def validation_value(candidate: Candidate, result: StudyResult) -> float | None:
    """The first objective of a single training on validation; None where it is not known."""
    confirmed = () if result.final is None else result.final.confirmed
    row = next((one for one in confirmed if one.trial == candidate.trial), None)
    if candidate.seeds:
        place = candidate.seeds[0] - 1
        return row.values[place] if row is not None and place < len(row.values) else None
    if row is not None:
        return row.search_value
    return next((one.value for one in result.trials if one.number == candidate.trial), None)
