"""Checkpoints that are written while the training goes on."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from study.execution.local_state import LocalState, is_elsewhere
from study.search.record.checkpoints import CheckpointNotes, WritableState, save_checkpoint
from trainables.training.cross_validation import CrossValidation
from trainables.training.loop import Training

MAX_SHARE = 0.1
"""Of the time, that goes into writing: large states on slow disks are written more seldom."""


class CheckpointWriter:
    """Writes the checkpoints of a process's trials, one after the other, in a thread of its own.

    The training waits until its state is copied: from a GPU into memory, else onto this machine's disk, as
    the memory is what it trains in. Where the study's folder lies on that disk, it is written in place.

    What a write raised, an OSError, `write` or the next call of `write` or `wait` raises.
    """

    def __init__(self, study_folder: Path) -> None:
        self._folder = study_folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[float] | None = None
        self._seconds = 0.0

    @property
    def is_writing(self) -> bool:
        """Whether the last checkpoint is still on its way."""
        return self._writing is not None and not self._writing.done()

    @property
    def least_seconds(self) -> float:
        """How long to leave between two checkpoints, by what the last one took."""
        return self._seconds / MAX_SHARE

    def write(self, number: int, training: Training | CrossValidation, notes: CheckpointNotes) -> None:
        """Copies the training's state, and begins to write it as the checkpoint of a trial. Waits for the
        one before.
        """
        self.wait()
        copy = self._copied(training)
        if copy is None:
            self._seconds = self._write(number, training.state, notes)
        else:
            self._writing = self._thread.submit(self._write, number, copy, notes)

    def wait(self) -> None:
        """Waits until all is on the disk."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            self._seconds = writing.result()

    def _copied(self, training: Training | CrossValidation) -> WritableState | None:
        if training.device.type != "cpu":
            return training.state.copied()
        return LocalState.of(training.state) if is_elsewhere(self._folder) else None

    def _write(self, number: int, state: WritableState, notes: CheckpointNotes) -> float:
        """Returns the seconds that it took."""
        begun = time.monotonic()
        save_checkpoint(self._folder, number, state, notes)
        return time.monotonic() - begun
