"""Whether the best values of a dimension lie at an end of its range, so that better ones may lie beyond."""

from study.analysis.additive_model import Estimate
from study.analysis.effects import Marginals
from study.analysis.health_card import HealthCard
from study.analysis.varied_dimensions import VariedDimension
from study.number_text import number_text
from study.recipes.point import check_value
from study.results.study_result import StudyResult
from trainables.errors import RecipeError

NEAR = 0.1
"""Share of a range, at each end, in which values are at the end."""
WITHIN = 0.3
"""Share of a range, from the end, at which another value must be worse for the end to be a bound."""
BEYOND = 0.5
"""Share of a range by which a wider one is offered."""
OF_THE_NETWORK = ("freeze_depth", "range_end", "unfreezing_stages", "image_size")
"""Dimensions whose ends are those of networks or images, and not a person's guess."""


def bound_cards(result: StudyResult, marginals: Marginals) -> list[HealthCard]:
    """A warning for each dimension whose optimum is at a bound that can be moved; one card that says that
    there is none otherwise.
    """
    cards = []
    for dimension in marginals.dimensions:
        for is_high in (False, True):
            beyond = _beyond(dimension, is_high)
            if beyond is not None and _is_best_at_end(result, marginals, dimension, is_high):
                cards.append(_card(result, dimension, is_high, beyond))
    return cards or [
        HealthCard(
            kind="optimum_at_bound",
            is_warning=False,
            title="No best value at an end of its range",
            sentence=(
                "No dimension is shown to be best at an end of its range that could be moved."
                if marginals.can_tell
                else "The trials are too few to tell where the best values lie."
            ),
            way_out=None,
        )
    ]


def _beyond(dimension: VariedDimension, is_high: bool) -> float | None:
    """A value beyond that end of the range that could be tried; None where there is none."""
    if dimension.options or dimension.name in OF_THE_NETWORK or dimension.low == dimension.high:
        return None
    value = dimension.number_at(1 + BEYOND if is_high else -BEYOND)
    try:
        check_value(dimension.name, round(value) if dimension.is_whole else value)
    except RecipeError:
        return None
    return value


def _is_best_at_end(
    result: StudyResult, marginals: Marginals, dimension: VariedDimension, is_high: bool
) -> bool:
    """Whether the effect is best there, certainly better than further inside, and the best trial agrees."""
    if marginals.dimension(dimension.name) is None or result.best is None:
        return False
    tried = [point[dimension.name] for point in marginals.points if dimension.has(point)]
    positions = dimension.positions(tried)
    end = float(positions.max() if is_high else positions.min())
    if abs(end - is_high) > NEAR or not dimension.has(result.best.point):
        return False
    best_at = float(dimension.positions([result.best.point[dimension.name]])[0])
    if abs(best_at - end) > WITHIN:
        return False
    merit = result.spec.objective.merit
    (effect,) = marginals.effects(dimension.name)
    merits = [merit(point.mean) for point in effect.points]
    if merits.index(max(merits)) != (len(merits) - 1 if is_high else 0):
        return False
    inside = dimension.number_at(end + (-WITHIN if is_high else WITHIN))
    (gain,) = marginals.model().differences(
        [{dimension.name: dimension.number_at(end)}], {dimension.name: inside}
    )
    return _is_above_zero(gain, result.spec.objective.maximise)


def _is_above_zero(gain: Estimate, maximise: bool) -> bool:
    return gain.low > 0 if maximise else gain.high < 0


def _card(result: StudyResult, dimension: VariedDimension, is_high: bool, beyond: float) -> HealthCard:
    name, spec = dimension.name, result.spec
    in_words = name.replace("_", " ")
    ends = [dimension.low, beyond] if is_high else [beyond, dimension.high]
    shown = ", ".join(str(round(end)) if dimension.is_whole else f"{end:.2g}" for end in ends)
    bound = number_text(dimension.high if is_high else dimension.low)
    kind = "int" if dimension.is_whole else "float"
    log = ", log: true" if dimension.is_log else ""
    narrowed = "; take it out of narrow" if name in spec.narrow else ""
    return HealthCard(
        kind="optimum_at_bound",
        is_warning=True,
        title=f"{in_words.capitalize()}: best at its {'upper' if is_high else 'lower'} end",
        sentence=(
            f"The {'higher' if is_high else 'lower'} {in_words} is, the better the trials are, up to the end "
            f"of its range at {bound}: better values may lie beyond."
        ),
        way_out=(
            f"A study with a wider range: extend: {{{name}: {{{kind}: [{shown}]{log}}}}}{narrowed}; start it "
            f"from this one's best: start_from: [{{best: 3, studies: [{spec.study}]}}]."
        ),
    )
