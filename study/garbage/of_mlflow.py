"""Garbage in MLflow: files of runs that were pruned long ago, or deleted."""

from collections.abc import Iterator
from functools import partial

from study.connections.model_registry import has_whole_database, registry_of
from study.doctor.finding import counted
from study.garbage.piece import Piece, Scope
from study.home import Home
from study.results.study_result import StudyResult
from study.tracking.unneeded_files import UnneededFiles, delete_files, unneeded_files


def files_of_runs(scope: Scope) -> Iterator[Piece]:
    """Files of runs that were pruned or deleted, but for runs that a registered version names, and for
    studies that run or can go on. The runs with their metrics stay.
    """
    if not has_whole_database(scope.home):
        return
    going_on = frozenset(
        one.folder.name for one in scope.studies if not (isinstance(one, StudyResult) and scope.is_over(one))
    )
    with registry_of(scope.home) as client:
        for found in unneeded_files(client, scope.before, going_on):
            yield Piece(
                kind="artifacts",
                where=f"run {found.name}",
                what=f"{counted(found.num_files, 'file')}, {found.why}",
                num_bytes=found.num_bytes,
                delete=partial(_delete, scope.home, found),
            )


def _delete(home: Home, found: UnneededFiles) -> bool:
    with registry_of(home) as client:
        return delete_files(client, found)
