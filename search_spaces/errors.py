"""What can be wrong with a search space or a point of it.

SpaceError (ValueError)
└── UnknownNameError (LookupError)     no space, recipe or dimension has that name
"""

import difflib
from collections.abc import Iterable


class SpaceError(ValueError):
    """A dimension, a space or a point that contradicts itself; the text is one message for a person."""


class UnknownNameError(SpaceError, LookupError):
    """No space, recipe or dimension has that name."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        hint = did_you_mean(name, names)
        super().__init__(f"unknown {what} {name!r}{hint or f'; known: {_listed(names)}'}")


MAX_LISTED = 20
MAX_COMPARED = 80
"""Letters of a name: comparing takes a time that grows with their square."""


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return f"{', '.join(names[:MAX_LISTED]) or 'none'}{more}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'dropout'?` for the known name closest to `name`; an empty text where none is close."""
    close = difflib.get_close_matches(name[:MAX_COMPARED], list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
