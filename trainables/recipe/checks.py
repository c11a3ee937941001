"""The rules of a recipe's fields, each with one message."""

import math

from trainables.errors import RecipeError


def within(name: str, value: float, low: float, high: float) -> None:
    """Raises RecipeError unless `value` lies in [low, high]."""
    if not low <= value <= high:
        raise RecipeError(f"{name} must lie in [{low:g}, {high:g}], got {value!r}")


def above_zero(name: str, value: float) -> None:
    """Raises RecipeError unless `value` is above 0 and finite."""
    if not (value > 0 and math.isfinite(value)):
        raise RecipeError(f"{name} must be above 0 and finite, got {value!r}")


def one_of(name: str, value: str, options: tuple[str, ...]) -> None:
    """Raises RecipeError unless `value` is one of `options`."""
    if value not in options:
        raise RecipeError(f"{name} must be one of {', '.join(options)}, got {value!r}")
