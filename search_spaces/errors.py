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
        super().__init__(
            f"unknown {what} {name!r}; known: {', '.join(names) or 'none'}{did_you_mean(name, names)}"
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'dropout'?` for the known name closest to `name`; an empty text where none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
