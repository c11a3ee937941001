"""Garbage in the folders of studies, and what killed commands left beside them."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from study.disk_space import bytes_in
from study.doctor.finding import counted
from study.driver.removal import needless_weights
from study.evaluation.confirmation import FOLDER as CONFIRMATION
from study.garbage.piece import Kind, Piece, Scope, is_older
from study.results.study_result import StudyResult
from study.search.record.checkpoints import FOLDER as CHECKPOINTS
from study.search.record.checkpoints import delete_all_checkpoints
from study.search.record.driver_lock import driving
from study.study_file.edits import Edit, append_edit, pinned, read_edits
from trainables.datasets.staging import clear_one, left_behind


def weights(scope: Scope) -> Iterator[Piece]:
    """Weights of finished studies, but for those that are registered and those that a study file names.

    A study with pinned dimensions keeps all: somebody means to extend it.
    """
    for study in scope.finished:
        files = _unneeded(scope, study)
        if files:
            yield _piece("weights", study, files, partial(_delete_weights, scope, study))


def checkpoints(scope: Scope) -> Iterator[Piece]:
    """Checkpoints of finished studies, which no trial goes on from."""
    for study in scope.finished:
        files = [
            file for folder in _checkpoint_folders(study) for file in folder.rglob("*") if file.is_file()
        ]
        if files and not pinned(read_edits(study.folder)):
            yield _piece("checkpoints", study, files, partial(_delete_checkpoints, scope, study))


def left_by_killed_commands(scope: Scope) -> Iterator[Piece]:
    """What killed processes left of datasets that they added, and of what they removed."""
    removed = sorted(scope.home.studies.glob(".*.removed"))
    for folder in (*left_behind(scope.home.datasets), *removed):
        if is_older([folder], scope.before):
            yield Piece(
                kind="left behind",
                where=f"{folder.parent.name}/{folder.name}",
                what=counted(sum(file.is_file() for file in folder.rglob("*")), "file"),
                num_bytes=bytes_in(folder),
                delete=partial(_delete_left, scope, folder),
            )


def _piece(kind: Kind, study: StudyResult, files: list[Path], delete: "partial[bool]") -> Piece:
    return Piece(
        kind=kind,
        where=f"study {study.spec.study}",
        what=counted(len(files), "file"),
        num_bytes=sum(file.stat().st_size for file in files),
        delete=delete,
    )


def _unneeded(scope: Scope, study: StudyResult) -> list[Path]:
    if pinned(read_edits(study.folder)):
        return []
    return [file for file in needless_weights(study) if str(file) not in scope.needed_text]


def _delete_weights(scope: Scope, study: StudyResult) -> bool:
    with driving(study.folder):
        now = Scope(scope.home, 0.0)  # somebody may have resumed it, or named its weights, by now
        again = StudyResult.read(study.folder)
        if not _has_ended(again):
            return False
        files = _unneeded(now, again)
        # Before anything goes, so that nobody extends what lacks its weights.
        append_edit(study.folder, Edit(kind="free", freed_weights=True))
        for file in files:
            file.unlink(missing_ok=True)
        return bool(files)


def _delete_checkpoints(scope: Scope, study: StudyResult) -> bool:
    with driving(study.folder):
        if not _has_ended(StudyResult.read(study.folder)):
            return False
        delete_all_checkpoints(study.folder)
        delete_all_checkpoints(study.folder / CONFIRMATION)
        return True


def _has_ended(study: StudyResult) -> bool:
    """While this process holds the lock of its driver."""
    return study.has_ended and study.is_end_told


def _checkpoint_folders(study: StudyResult) -> tuple[Path, Path]:
    return study.folder / CHECKPOINTS, study.folder / CONFIRMATION / CHECKPOINTS


def _delete_left(scope: Scope, folder: Path) -> bool:
    if folder.parent == scope.home.studies:
        shutil.rmtree(folder, ignore_errors=True)
    elif folder in left_behind(scope.home.datasets):  # and nobody took it up again
        clear_one(folder)
    return not folder.exists()
