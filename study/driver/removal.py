"""Removing a study: its folder goes, what MLflow and the model registry have of it stays."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from study.errors import UnknownStudyError
from study.home import Home
from study.search.record.driver_lock import driving
from study.search.record.storage import delete_from_database


@dataclass(frozen=True, kw_only=True)
class StudyFolder:
    """What a removal takes away."""

    study: str
    folder: Path
    num_bytes: int

    @property
    def size_text(self) -> str:
        """Its size on disk, for a person."""
        return f"{self.num_bytes / 1e6:,.1f} MB"


def find_folder(home: Home, name: str) -> StudyFolder:
    """The folder of a study, also of one that cannot be read or was never whole. Raises UnknownStudyError."""
    known = sorted(
        one.name for one in home.studies.glob("*") if one.is_dir() and not one.name.startswith(".")
    )
    if name not in known:
        raise UnknownStudyError(f"unknown study {name!r}; known: {', '.join(known) or 'none'}")
    folder = home.studies / name
    files = (file for file in folder.rglob("*") if file.is_file())
    return StudyFolder(study=name, folder=folder, num_bytes=sum(file.stat().st_size for file in files))


def remove_study(found: StudyFolder) -> None:
    """Removes the record, the weights and the checkpoints of a study, which cannot be resumed after that.

    Its runs in MLflow, its registered versions and its openings of the test split stay. Raises StudyError
    while a process drives it.
    """
    with driving(found.folder):
        delete_from_database(found.folder)
        doomed = found.folder.with_name(f".{found.study}.removed")
        shutil.rmtree(doomed, ignore_errors=True)
        found.folder.rename(doomed)  # gone in one step, whoever dies within
    shutil.rmtree(doomed)
