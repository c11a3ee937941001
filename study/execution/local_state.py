"""A training's state on its way to a folder that several machines share: first on this machine's own disk."""

import shutil
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from trainables.atomic import atomic_file
from trainables.datasets.node_cache import cache_folder
from trainables.training.cross_validation import FoldsState
from trainables.training.training_state import STATE_FILE, TrainingState

_PART_BYTES = 16 * 2**20


class LocalState:
    """A state in a file of this machine that has no name: whatever ends the process takes it along."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    @classmethod
    def of(cls, state: TrainingState | FoldsState) -> "LocalState | None":
        """The state, written into the folder of this machine's copies; None where there is no room."""
        try:
            file = TemporaryFile(dir=cache_folder())  # noqa: SIM115  `write` closes it, later
            state.write_to(file)
        except OSError:
            return None
        return cls(file)

    def write(self, folder: Path) -> None:
        """Copies it into `folder`, whole or not at all, and gives up the file of this machine."""
        with self._file, atomic_file(folder / STATE_FILE) as unfinished, unfinished.open("wb") as shared:
            self._file.seek(0)
            shutil.copyfileobj(self._file, shared, _PART_BYTES)


def is_elsewhere(folder: Path) -> bool:
    """Whether `folder` lies on another volume than this machine's copies (`STUDY_CACHE`), such as one that is
    shared; False where that folder cannot be made.
    """
    local = cache_folder()
    try:
        local.mkdir(parents=True, exist_ok=True)
        return folder.stat().st_dev != local.stat().st_dev
    except OSError:
        return False
