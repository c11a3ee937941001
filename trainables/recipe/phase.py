"""A stretch of epochs: what is trainable, how fast, on which schedule."""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainables.errors import RecipeError
from trainables.recipe.fields import AboveZero, Continuation, Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of epochs with its own trainable layers, learning rate and schedule; its optimizer starts fresh."""

    epochs: Annotated[int, Within(1, 100_000)]
    """Passes over the training split, at least 1."""
    learning_rate: Annotated[float, AboveZero()]
    """Highest learning rate of the phase, above 0."""
    freeze_depth: Annotated[int, Within(0, 1000)] = 0
    """Stages frozen, counted from the input: 0 none, 1 the stem and the first stage, ..., all stages leave the head alone."""
    trainable_share: Annotated[float | None, Within(0.0, 1.0), Continuation.LASTS] = None
    """In place of `freeze_depth`: share of the network's blocks, counted from the head, that train, 0 to 1; 0 leaves the head alone."""
    range_end: int | None = None
    """Stages from this one on, counted from the input, are frozen too; the head trains always. Above `freeze_depth`."""
    head_multiplier: Annotated[float, AboveZero()] = 1.0
    """The head's learning rate is this many times the phase's, above 0."""
    layer_decay: Annotated[float, AboveZero(1.0)] = 1.0
    """Each block's learning rate is this many times that of the block after it, in (0, 1]; the last block has the phase's."""
    schedule: Literal["constant", "step", "cosine", "linear", "one_cycle", "wsd", "plateau"] = "cosine"
    """How the learning rate goes over the phase."""
    warmup_fraction: Annotated[float, Within(0.0, 0.99), Continuation.LASTS] = 0.0
    """Share of the phase's steps over which the learning rate rises linearly from 0, in [0, 1); schedule `one_cycle` rises along half
    a cosine from a 25th, over 0.3 of them where this is 0."""
    final_ratio: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Schedules `cosine`, `linear`, `wsd`: where they end, as a share of the learning rate, 0 to 1."""
    decay_fraction: Annotated[float, AboveZero(1.0), Continuation.LASTS] = 0.2
    """Schedule `wsd` (warm-up, stable, decay): share of the phase's steps over which it falls at the end, in (0, 1]."""
    step_epochs: Annotated[int, Within(1, 100_000)] = 10
    """Schedule `step`: epochs between two falls, at least 1."""
    step_factor: Annotated[float, AboveZero(1.0)] = 0.1
    """Schedules `step` and `plateau`: what each fall multiplies by, in (0, 1]."""
    plateau_epochs: Annotated[int, Within(1, 100_000)] = 5
    """Schedule `plateau`: epochs without a better validation accuracy before a fall, at least 1."""

    def __post_init__(self) -> None:
        check_fields(self)
        _check_trainable(self)


def _check_trainable(phase: Phase) -> None:
    if phase.trainable_share is not None and (phase.freeze_depth or phase.range_end is not None):
        raise RecipeError("trainable_share stands in place of freeze_depth and range_end; give one or the other")
    if phase.range_end is not None and phase.range_end <= phase.freeze_depth:
        raise RecipeError(f"range_end must lie above freeze_depth, got {phase.range_end} and {phase.freeze_depth}; nothing would train")
