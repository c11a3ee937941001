"""Pretrained weights that a study starts from: found or fetched, as files, before any trial starts."""

from pathlib import Path

from study.planning.plan import Plan, is_registered_model
from trainables.models.pretrained_files import ensure_weights
from trainables.recipe.model import Model


def check_registered_weights(plan: Plan) -> None:
    """Raises SpecError where the study would start from a registered model that is not to be had."""
    from study.registry.version_files import fetch_weights

    for weights in sorted({weights for _, weights in plan.pretrained() if is_registered_model(weights)}):
        fetch_weights(weights, plan.home)


def locate_weights(plan: Plan) -> dict[str, str]:
    """Files by the names that the study gives them, for weights that are paths or registered models.

    Published weights are downloaded into their library's cache. Raises WeightsError or SpecError where some
    cannot be had.
    """
    from study.registry.version_files import fetch_weights

    located: dict[str, str] = {}
    for architecture, weights in sorted(plan.pretrained()):
        if is_registered_model(weights):
            located[weights] = str(fetch_weights(weights, plan.home))
        elif weights == "imagenet":
            ensure_weights(Model(architecture=architecture, weights=weights))
        else:
            located[weights] = str(Path(weights).expanduser().absolute())
    return located
