"""Finding the columns of a table."""

from collections.abc import Sequence

from trainables.errors import DatasetError
from trainables.suggestions import did_you_mean


def find_column(columns: Sequence[str], wanted: str | None, usual: Sequence[str], flag: str) -> str:
    """The `wanted` column, or the first usual one that exists when None is wanted.

    Raises DatasetError, listing the columns that exist; `flag` is how a person names another one.
    """
    column = optional_column(columns, wanted, usual, flag)
    if column is None:
        raise DatasetError(
            f"no column is called {' or '.join(usual)}; columns: {', '.join(columns)}; name one with {flag}"
        )
    return column


def optional_column(
    columns: Sequence[str], wanted: str | None, usual: Sequence[str], flag: str
) -> str | None:
    """Like `find_column`, but None when no column is wanted and no usual one exists."""
    if wanted is None:
        return next((name for name in usual if name in columns), None)
    if wanted not in columns:
        raise DatasetError(
            f"{flag}: no column {wanted!r}; columns: {', '.join(columns)}{did_you_mean(wanted, columns)}"
        )
    return wanted


def kept_columns(columns: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The columns that a person keeps. Raises DatasetError, listing those that exist, for another one."""
    for name in wanted:
        optional_column(columns, name, (), "--keep-column")
    return tuple(wanted)
