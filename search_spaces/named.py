"""Spaces and recipes by name: every module of `spaces/` gives a `SPACE`, every module of `recipes/` its
`RECIPES`.
"""

import importlib
import pkgutil
from types import ModuleType

from search_spaces import recipes, spaces
from search_spaces.errors import UnknownNameError
from search_spaces.named_recipe import NamedRecipe
from search_spaces.space import SearchSpace


def named_spaces() -> dict[str, SearchSpace]:
    """All named spaces by name."""
    return {space.name: space for module in _modules(spaces) for space in [module.SPACE]}


def named_recipes() -> dict[str, NamedRecipe]:
    """All named recipes by name."""
    return {recipe.name: recipe for module in _modules(recipes) for recipe in module.RECIPES}


def find_space(name: str) -> SearchSpace:
    """The named space. Raises UnknownNameError."""
    known = named_spaces()
    if name not in known:
        raise UnknownNameError("search space", name, known)
    return known[name]


def find_recipe(name: str) -> NamedRecipe:
    """The named recipe. Raises UnknownNameError."""
    known = named_recipes()
    if name not in known:
        raise UnknownNameError("recipe", name, known)
    return known[name]


def _modules(package: ModuleType) -> list[ModuleType]:
    return [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    ]
