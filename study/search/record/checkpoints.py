"""Checkpoints: a trial's latest state, from which it goes on after any death of its process; deleted once the
trial has ended.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from study.names import trial_name
from trainables.atomic import atomic_file, atomic_folder

if TYPE_CHECKING:  # the driver deletes checkpoints without importing torch
    from trainables.training.cross_validation import CrossValidation
    from trainables.training.loop import Training

FOLDER = "checkpoints"
PROGRESS_FILE = "progress.json"
SECONDS_BETWEEN_CHECKPOINTS = 15.0
"""A trial that dies repeats at most about as much, within an epoch too; more, where writing takes longer than
1.5 s."""


@dataclass(frozen=True, kw_only=True)
class CheckpointNotes:
    """What is noted beside a training's own state in its checkpoint."""

    best: float | None = None
    """The objective's best value up to the checkpoint."""
    micro_batch: int | None = None
    """Images that went through the network at a time; None for the recipe's batch."""
    is_streamed: bool = False
    """Whether memory was too little with all images in it, so that they stay on the disk."""
    last_epoch: dict[str, Any] | None = None
    """The last epoch, as `Epoch.to_dict` has it: a trial that goes on reports it again, as the report may
    never have arrived."""


def read_notes(study_folder: Path, number: int) -> CheckpointNotes:
    """The notes of a trial's checkpoint; empty where it has no checkpoint."""
    file = _folder(study_folder, number) / PROGRESS_FILE
    return (
        CheckpointNotes(**json.loads(file.read_text(encoding="utf-8")))
        if file.exists()
        else CheckpointNotes()
    )


def write_notes(study_folder: Path, number: int, notes: CheckpointNotes) -> None:
    """Writes the notes, whole or not at all."""
    with atomic_file(_folder(study_folder, number) / PROGRESS_FILE) as unfinished:
        unfinished.write_text(json.dumps(asdict(notes)), encoding="utf-8")


class WritableState(Protocol):
    """A training's state, wherever it is kept."""

    def write(self, folder: Path) -> None:
        """Writes it into `folder`, whole or not at all."""


def save_checkpoint(study_folder: Path, number: int, state: WritableState, notes: CheckpointNotes) -> None:
    """Writes a training's state. The notes go first: they may be ahead of the state, and never behind."""
    write_notes(study_folder, number, notes)
    state.write(_folder(study_folder, number))


def load_checkpoint(
    study_folder: Path,
    number: int,
    training: "Training | CrossValidation",
    *,
    with_other_values: bool = False,
) -> bool:
    """Sets the training to where the trial's checkpoint is; False where there is none, or one of another
    recipe.

    `with_other_values` is as `Training.load` has it.
    """
    from trainables.errors import RecipeError

    try:
        training.load(_folder(study_folder, number), with_other_values=with_other_values)
    except (FileNotFoundError, RecipeError):
        return False
    return True


def branch_checkpoint(study_folder: Path, parent: int, child: int) -> None:
    """Copies a trial's checkpoint for another one to begin with, whole or not at all.

    Nothing where there is none, or the child has one.

    Of its notes, the epoch and the best value stay behind: they are the parent's.
    """
    source, target = _folder(study_folder, parent), _folder(study_folder, child)
    if target.exists() or not source.exists():
        return
    of_parent = read_notes(study_folder, parent)
    notes = CheckpointNotes(micro_batch=of_parent.micro_batch, is_streamed=of_parent.is_streamed)
    with atomic_folder(target) as unfinished:
        for state in source.glob("*.pt"):
            shutil.copyfile(state, unfinished / state.name)
        (unfinished / PROGRESS_FILE).write_text(json.dumps(asdict(notes)), encoding="utf-8")


def checkpoint_bytes(study_folder: Path, number: int) -> int:
    """What a trial's checkpoint takes on the disk; 0 where it has none."""
    folder = _folder(study_folder, number)
    return sum(file.stat().st_size for file in folder.iterdir()) if folder.exists() else 0


def delete_checkpoints(study_folder: Path, numbers: Iterable[int]) -> None:
    """Deletes the checkpoints of these trials, where there are any."""
    for number in numbers:
        shutil.rmtree(_folder(study_folder, number), ignore_errors=True)


def delete_all_checkpoints(study_folder: Path) -> None:
    """Deletes the checkpoints of all trials."""
    shutil.rmtree(study_folder / FOLDER, ignore_errors=True)


def _folder(study_folder: Path, number: int) -> Path:
    return study_folder / FOLDER / trial_name(number)
