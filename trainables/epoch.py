"""What a training yields: one epoch."""

from dataclasses import dataclass

from trainables.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one pass over the training split came to."""

    number: int
    """Counted from 1 over all phases."""
    phase: int
    """Counted from 1."""
    learning_rate: float
    """At the last step."""
    train_loss: float
    """Mean over the images as they were seen: augmented, under dropout, weighted by class, with weights that kept changing."""
    metrics: Metrics
    """Of the validation split, after the last step."""
    train_seconds: float
    validation_seconds: float
    num_train_images: int
    """Images trained on: all, but one if it would have been a batch of its own."""
