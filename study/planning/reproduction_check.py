"""Whether a study that reproduces a recipe trains that recipe: checked before anything is spent."""

from search_spaces.dimensions import Choice
from search_spaces.named import find_recipe
from search_spaces.named_recipe import NamedRecipe
from search_spaces.space import SearchSpace
from study.errors import SpecError
from study.study_file.study_spec import StudySpec
from trainables.datasets.manifest import Manifest
from trainables.printable import quoted

SCALABLE = ("train_images", "image_size", "crop_margin", "weights")
"""Dimensions in which a study may differ from its recipe; its table says so."""


def check_reproduces(spec: StudySpec, space: SearchSpace, manifest: Manifest) -> None:
    """Raises SpecError where the study would not measure what its recipe states, UnknownNameError for an
    unknown recipe.
    """
    if spec.reproduces is None:
        return
    recipe = find_recipe(spec.reproduces)
    faults = [*_of_settings(spec, recipe), *_of_values(spec, space, recipe), *_of_classes(manifest, recipe)]
    if faults:
        raise SpecError(
            f"reproduces {recipe.name!r}: the study must train that recipe, but {'; '.join(faults[:5])}; the "
            f"study that does is made by: study reproduce {recipe.name}"
        )


def _of_settings(spec: StudySpec, recipe: NamedRecipe) -> list[str]:
    metric = "accuracy" if recipe.result is None else recipe.result.metric
    metrics = ", ".join(objective.metric for objective in spec.objectives)
    rules = (
        (spec.dataset == recipe.dataset.name, f"dataset is {spec.dataset}, not {recipe.dataset.name}"),
        (metrics == metric, f"objective is {metrics}, not {metric}"),
        (spec.early_stopping.rule == "none", f"early_stopping is {spec.early_stopping.rule}, not none"),
        (spec.early_stopping.plateau is None, "early_stopping has a plateau"),
        (spec.confirm is None, "confirm is given, and every seed is measured anyway"),
        (not spec.start_from, "start_from is given, which names other configurations"),
    )
    return [fault for is_right, fault in rules if not is_right]


def _of_values(spec: StudySpec, space: SearchSpace, recipe: NamedRecipe) -> list[str]:
    searched = [one.name for one in space.dimensions if not isinstance(one, Choice) or len(one.options) > 1]
    if searched:
        return [f"the search space varies {', '.join(dict.fromkeys(searched[:5]))}: take search_space given"]
    fixed = {**{one.name: one.options[0] for one in space.dimensions if isinstance(one, Choice)}, **spec.fix}
    lacking = [name for name in recipe.point if name not in spec.fix]
    if lacking:
        return [f"fix lacks {', '.join(lacking[:5])}"]
    return [
        f"{name} is {quoted(fixed[name])}, not {quoted(recipe.point.get(name))}"
        for name in fixed
        if name not in SCALABLE and fixed[name] != recipe.point.get(name)
    ]


def _of_classes(manifest: Manifest, recipe: NamedRecipe) -> list[str]:
    if recipe.groups is None:
        return []
    grouped = {name for members in recipe.groups.values() for name in members}
    unknown = [name for name in manifest.classes if name not in grouped]
    return [f"it judges no class {', '.join(map(quoted, unknown[:5]))}"] if unknown else []
