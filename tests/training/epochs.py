"""The epochs of a training, as tests compare them: without their times, and trained in parts."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from trainables.training.cross_validation import CrossValidation
from trainables.training.epoch import Epoch
from trainables.training.loop import Training


def timeless(epochs: Iterable[Epoch]) -> list[Epoch]:
    """What must be equal between two trainings of one recipe."""
    return [
        dataclasses.replace(epoch, train_seconds=0.0, validation_seconds=0.0, spans={}) for epoch in epochs
    ]


def in_parts(
    begin: Callable[[], Training | CrossValidation], folder: Path, *, saved_every: int
) -> tuple[list[Epoch], int]:
    """The epochs of a training that gives the control back after each step, and how often it did.

    At each `saved_every`-th time it is saved to `folder`, and another training goes on from there.
    """
    training, epochs, num_pauses, share = begin(), list[Epoch](), 0, 0.0
    while not training.has_ended:
        epoch = training.advance(0.0)
        if epoch is not None:
            assert training.share_of_epoch == 0
            epochs.append(epoch)
            share = 0.0
            continue
        assert share <= training.share_of_epoch < 1, "a person sees how far the epoch is"
        share = training.share_of_epoch
        num_pauses += 1
        if num_pauses % saved_every == 0:
            training.save(folder)
            training = begin()
            training.load(folder)
    return epochs, num_pauses
