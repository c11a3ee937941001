"""The weights of a study's best trials, one file a trial; the rest are deleted as better ones come."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from study.names import trial_name
from trainables.atomic import atomic_file

if TYPE_CHECKING:  # the driver deletes weights without importing torch
    from trainables.training.loop import Training

NUM_KEPT = 3
"""Ended trials of a study, the best by validation, whose weights stay."""


def weights_file(study_folder: Path, number: int) -> Path:
    """Where a trial's weights at its best epoch are."""
    return study_folder / "weights" / f"{trial_name(number)}.pt"


def save_weights(study_folder: Path, number: int, training: "Training") -> None:
    """Writes the weights of now as the trial's best, whole or not at all."""
    import torch

    with atomic_file(weights_file(study_folder, number)) as unfinished:
        torch.save(training.weights(), unfinished)


def delete_weights(study_folder: Path, numbers: Iterable[int]) -> None:
    """Deletes the weights of these trials, where there are any."""
    for number in numbers:
        weights_file(study_folder, number).unlink(missing_ok=True)
