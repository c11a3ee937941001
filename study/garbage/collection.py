"""Collecting garbage: all of it, told or deleted; what cannot be looked at or deleted hides nothing else."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from cluster.errors import ClusterError
from study.errors import StudyError
from study.garbage import of_caches, of_mlflow, of_studies
from study.garbage.piece import Kind, Piece, Scope
from study.home import Home
from trainables.errors import TrainableError

Finder = tuple[Kind, Callable[[], Iterable[Piece]]]
_FINDERS: tuple[tuple[Kind, Callable[[Scope], Iterator[Piece]]], ...] = (
    ("weights", of_studies.weights),
    ("checkpoints", of_studies.checkpoints),
    ("copies", of_caches.fetched_models),
    ("copies", of_caches.copies_of_this_machine),
    ("artifacts", of_mlflow.files_of_runs),
    ("left behind", of_studies.left_by_killed_commands),
)


@dataclass(frozen=True, kw_only=True)
class Collected:
    """A piece of garbage as it is told, and what came of it."""

    kind: Kind
    where: str
    what: str
    num_bytes: int | None
    is_deleted: bool = False
    failure: str | None = None
    """Why it stays, or why nobody could look."""


def collect(home: Home, seconds: float, *, delete: bool) -> Iterator[Collected]:
    """All garbage of a home and of this machine that nobody needed for so long.

    `delete` deletes it, once all is found: what is deleted makes its neighbours young.
    """
    scope = Scope(home, seconds)
    return treated([(kind, partial(finder, scope)) for kind, finder in _FINDERS], delete=delete)


def treated(finders: Iterable[Finder], *, delete: bool) -> Iterator[Collected]:
    """What these find, each piece after it was deleted where that is meant."""
    found = [_found(kind, find) for kind, find in finders]  # all of it, before anything goes
    for pieces in found:
        for piece in pieces:
            yield piece if isinstance(piece, Collected) else _treated(piece, delete=delete)


def _found(kind: Kind, find: Callable[[], Iterable[Piece]]) -> list[Piece | Collected]:
    try:
        return list(find())
    except (ClusterError, StudyError, TrainableError, OSError) as error:
        return [Collected(kind=kind, where="not looked at", what="", num_bytes=None, failure=str(error))]


def _treated(piece: Piece, *, delete: bool) -> Collected:
    is_deleted, failure = _deleted(piece) if delete else (False, None)
    return Collected(
        kind=piece.kind,
        where=piece.where,
        what=piece.what,
        num_bytes=piece.num_bytes,
        is_deleted=is_deleted,
        failure=failure,
    )


def _deleted(piece: Piece) -> tuple[bool, str | None]:
    try:
        is_deleted = piece.delete()
    except (ClusterError, StudyError, TrainableError, OSError) as error:
        return False, str(error)
    return is_deleted, None if is_deleted else "it is in use again"
