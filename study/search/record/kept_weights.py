"""The weights of a study's best trials, and what they make of the validation split; the rest are deleted as
better ones come.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from study.names import trial_name
from trainables.atomic import atomic_file

if TYPE_CHECKING:  # the driver deletes weights without importing torch
    from trainables.training.cross_validation import CrossValidation
    from trainables.training.loop import Training

FOLDER = "weights"
NUM_KEPT = 3
"""Ended trials of a study, the best by validation, whose weights stay: for the one that is registered, and
for a selection among them and the further seeds."""


def weights_file(study_folder: Path, number: int) -> Path:
    """Where a trial's weights at its best epoch are."""
    return study_folder / FOLDER / f"{trial_name(number)}.pt"


def inspection_file(study_folder: Path, number: int) -> Path:
    """Where the `Inspection` of a trial's weights at its best epoch is."""
    return weights_file(study_folder, number).with_suffix(".npz")


def save_weights(study_folder: Path, number: int, training: "Training | CrossValidation") -> None:
    """Writes the weights of now as the trial's best, whole or not at all, and their inspection."""
    import torch

    training.inspection().save(inspection_file(study_folder, number))
    with atomic_file(weights_file(study_folder, number)) as unfinished:
        torch.save(training.weights(), unfinished)


def delete_weights(study_folder: Path, numbers: Iterable[int]) -> None:
    """Deletes the weights of these trials and their inspections, where there are any."""
    for number in numbers:
        weights_file(study_folder, number).unlink(missing_ok=True)
        inspection_file(study_folder, number).unlink(missing_ok=True)


def weights_but(study_folder: Path, kept: Collection[int]) -> tuple[Path, ...]:
    """The files with the weights of all trials but these."""
    files = {weights_file(study_folder, number) for number in kept}
    return tuple(file for file in sorted((study_folder / FOLDER).glob("*.pt")) if file not in files)
