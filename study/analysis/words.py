"""How sentences name dimensions and list things."""

from collections.abc import Sequence


def words(dimension: str) -> str:
    """A dimension's name as a sentence says it."""
    return dimension.replace("_", " ")


def listed(names: Sequence[str]) -> str:
    """Such as `a`, `a and b` or `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
