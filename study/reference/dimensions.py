"""The dimensions that a study file may fix, extend or narrow, from the recipe's fields and the search
spaces.
"""

import ast
import inspect
import textwrap
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from search_spaces.named import find_space
from study.recipes.point import CLASS_WEIGHT, DEFAULTS, NAMES, path_in_recipe
from study.reference.markdown import code, one_line, table, written
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe

LARGEST_SPACE = "everything"


def dimensions_section() -> str:
    """A table of the dimensions."""
    rows = [(code(name), _default(name), _values(name), meaning(name)) for name in NAMES]
    rows.append(
        (
            code(f"{CLASS_WEIGHT}NAME"),
            "",
            "",
            "Weight of the class NAME in the loss; classes without one weigh 1.",
        )
    )
    return table(("dimension", "default", f"options, or range in `{LARGEST_SPACE}`", "meaning"), rows)


def meaning(name: str) -> str:
    """What a dimension decides: the string below its field, else what the largest space says of it."""
    return _of_field(name) or _of_space(name)


def _default(name: str) -> str:
    value = DEFAULTS.get(name)
    if value in (None, ""):
        return ""
    return code(f"{value:.3g}" if isinstance(value, float) else written(value))


def _values(name: str) -> str:
    field = _field(name)
    options = () if field is None else _options(get_type_hints(field[0])[field[1]])
    return " | ".join(options) or _range(name)


def _range(name: str) -> str:
    space = find_space(LARGEST_SPACE)
    if name not in space.names:
        return ""
    return " or ".join(dict.fromkeys(str(dimension) for dimension in space.variants(name)))


def _of_field(name: str) -> str:
    field = _field(name)
    return "" if field is None else _field_docstrings(field[0])[field[1]]


def _field(name: str) -> tuple[type, str] | None:
    """The part of a recipe, and its field, that a dimension sets; None where there is no single one."""
    path = path_in_recipe(name)
    if path is None:
        return (Phase, name) if name in get_type_hints(Phase) else None
    *parts, field = path.split(".")
    part: Any = Recipe
    for below in parts:
        part = get_type_hints(part)[below]
    return part, field


def _options(hint: Any) -> tuple[str, ...]:
    """The words that a field takes; none where it takes others, too."""
    return get_args(hint) if get_origin(hint) is Literal else ()


def _of_space(name: str) -> str:
    space = find_space(LARGEST_SPACE)
    about = next((dimension.about for dimension in space.variants(name) if dimension.about), "")
    return f"{about[:1].upper()}{about[1:]}." if about else ""


@cache
def _field_docstrings(part: type) -> dict[str, str]:
    """The string below each field of a dataclass."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: one_line(text.value.value)
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
