"""A stretch of epochs: what is trainable, how fast, on which schedule."""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainables.errors import RecipeError
from trainables.recipe.fields import AboveZero, Continuation, Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of epochs with its own trainable layers, learning rate and schedule; its optimizer starts
    fresh.
    """

    epochs: Annotated[int, Within(1, 100_000)]
    """Passes over the training split, at least 1."""
    learning_rate: Annotated[float, AboveZero(1e30)]
    """The highest learning rate of the phase, above 0."""
    freeze_depth: Annotated[int, Within(0, 1000)] = 0
    """The number of frozen stages, counted from the input: 0 none, 1 the stem and the first stage, ...; with
    all stages frozen, only the head trains."""
    trainable_share: Annotated[float | None, Within(0.0, 1.0), Continuation.LASTS] = None
    """In place of `freeze_depth`: share of the network's blocks, counted from the head, that train, 0 to 1; 0
    leaves the head alone."""
    range_end: int | None = None
    """Stages from this one on, counted from the input, are frozen, too; the head always trains. Above
    `freeze_depth`."""
    head_multiplier: Annotated[float, AboveZero(1e6)] = 1.0
    """The head's learning rate is this many times the phase's, above 0."""
    layer_decay: Annotated[float, AboveZero(1.0)] = 1.0
    """Each block's learning rate is this many times that of the block after it, in (0, 1]; the last block has
    the phase's."""
    schedule: Literal["constant", "step", "cosine", "linear", "one_cycle", "wsd", "plateau"] = "cosine"
    """The course of the learning rate over the phase; `wsd` is warm-up, stable, decay."""
    warmup_fraction: Annotated[float, Within(0.0, 0.99), Continuation.LASTS] = 0.0
    """Share of the phase's steps over which the learning rate rises linearly from 0, in [0, 1). `one_cycle`
    rises along half a cosine from a 25th of the highest rate, over 0.3 of the steps where this is 0."""
    final_ratio: Annotated[float, Within(0.0, 1.0)] = 0.0
    """With `cosine`, `linear` and `wsd`: the learning rate at the end, as a share of the highest, 0 to 1."""
    decay_fraction: Annotated[float, AboveZero(1.0), Continuation.LASTS] = 0.2
    """With `wsd`: share of the phase's steps, at the end, over which the learning rate falls, in (0, 1]."""
    step_epochs: Annotated[int, Within(1, 100_000)] = 10
    """With `step`: epochs between two falls, at least 1."""
    step_factor: Annotated[float, AboveZero(1.0)] = 0.1
    """With `step` and `plateau`: the factor of each fall, in (0, 1]."""
    plateau_epochs: Annotated[int, Within(1, 100_000)] = 5
    """With `plateau`: epochs without a better validation accuracy before a fall, at least 1."""

    def __post_init__(self) -> None:
        check_fields(self)
        _check_trainable(self)


def _check_trainable(phase: Phase) -> None:
    if phase.trainable_share is not None and (phase.freeze_depth or phase.range_end is not None):
        raise RecipeError(
            "trainable_share stands in place of freeze_depth and range_end; give one or the other"
        )
    if phase.range_end is not None and phase.range_end <= phase.freeze_depth:
        raise RecipeError(
            f"range_end must lie above freeze_depth, got {phase.range_end} and {phase.freeze_depth}; nothing "
            "would train"
        )
