"""What trials of a study will do about frozen layers, whose output for an image is always the same."""

from study.planning.plan import Plan
from trainables.datasets.node_cache import cache_folder, max_bytes
from trainables.feature_cache.conditions import is_frozen_at_input, why_not_at_all, why_not_of_training


def frozen_layers_text(plan: Plan) -> str | None:
    """One sentence or two; None where no configuration freezes layers.

    Raises DatasetError if `STUDY_CACHE_GB` is no number.
    """
    frozen = [recipe for recipe in plan.corner_recipes if any(map(is_frozen_at_input, recipe.phases))]
    able = [recipe for recipe in frozen if why_not_at_all(recipe) is None]
    if not able:
        return None
    text = (
        "Where layers are frozen, a machine's trials compute their output once and share it, if that pays; "
        f"{cache_folder()} takes at most {max_bytes() / 1e9:,.0f} GB."
    )
    reasons = [reason for recipe in able if (reason := why_not_of_training(recipe)) is not None]
    if not reasons:
        return text
    which = "all" if len(reasons) == len(able) else "some"
    return (
        f"{text} In {which} of these configurations only that of validation images: {_most_common(reasons)}."
    )


def _most_common(reasons: list[str]) -> str:
    return max(set(reasons), key=reasons.count)
