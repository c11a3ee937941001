"""What a sampler makes of a space: said before a study begins, and refused where it is nothing."""

from search_spaces.dimensions import Choice, Dimension, Value
from search_spaces.space import SearchSpace
from study.errors import SpecError
from study.search.sampling.enumeration import num_points, on_grid, options_of
from study.study_file.study_spec import StudySpec


def sampler_remarks(spec: StudySpec, space: SearchSpace) -> tuple[str, ...]:
    """Sentences on what the study's sampler will do with the space.

    Raises SpecError if it could model none of it.
    """
    return (*_on_modelling(spec, space), *_on_number(spec, space), *_on_constraints(spec))


def _on_modelling(spec: StudySpec, space: SearchSpace) -> list[str]:
    rule, abilities = spec.sampler.rule, spec.sampler.abilities
    free = [dimension for dimension in space.dimensions if not _is_single(dimension)]
    if abilities.models_conditions or not free:
        return []
    modelled = [dimension for dimension in free if _always_exists(dimension, space)]
    if not abilities.models_choices:
        modelled = [dimension for dimension in modelled if not isinstance(dimension, Choice)]
    what = "dimensions that not every configuration has"
    if not abilities.models_choices:
        what = f"choices and {what}"
    if not modelled:
        raise SpecError(f"sampler {rule} cannot model {what}, and {space.name!r} has no others; use tpe")
    left = [dimension.name for dimension in free if dimension not in modelled]
    return [f"{rule} draws {what} at random: {', '.join(dict.fromkeys(left))}"] if left else []


def _on_number(spec: StudySpec, space: SearchSpace) -> list[str]:
    is_grid = spec.sampler.rule == "grid"
    count = num_points(on_grid(space, spec.sampler.grid_points) if is_grid else space)
    if is_grid and count > spec.budget.trials:
        return [
            f"the grid has {count:,} configurations, of which the study tries {spec.budget.trials:,}, drawn "
            "from all over it"
        ]
    if is_grid or 1 < count <= spec.budget.trials:
        return [
            f"the {'grid' if is_grid else 'space'} has {count:,} configurations; the study ends when all "
            "were tried"
        ]
    return []


def _on_constraints(spec: StudySpec) -> list[str]:
    if not spec.constraints or spec.sampler.abilities.learns:
        return []
    return [
        f"{spec.sampler.rule} does not learn the constraints; they only decide which configuration is the "
        "best"
    ]


def _is_single(dimension: Dimension) -> bool:
    options = options_of(dimension)
    return options is not None and len(options) == 1


def _always_exists(dimension: Dimension, space: SearchSpace) -> bool:
    for name, condition in dimension.when.items():
        parent, *others = space.variants(name)
        options: tuple[Value, ...] | range | None = options_of(parent)
        if (
            others
            or options is None
            or not all(map(condition.holds, options))
            or not _always_exists(parent, space)
        ):
            return False
    return True
