"""What a training yields: one epoch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainables.metrics.classification import Metrics


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
    """Mean over the images as they were seen: augmented, under dropout, weighted by class, with weights that
    kept changing."""
    metrics: Metrics
    """Of the validation split, after the last step."""
    train_seconds: float
    validation_seconds: float
    num_train_images: int
    """Images trained on: all, but one if it would have been a batch of its own."""
    spans: Mapping[str, float] = field(default_factory=dict)
    """Seconds of this epoch by what they went into, as `trainables.training.stopwatch` names it; of all folds
    together. Empty where it was not measured."""
    deviations: Mapping[str, float] = field(default_factory=dict)
    """Standard deviation over folds of each metric, by the names of METRICS; empty without folds."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` turns them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Epoch":
        """The epoch written by `to_dict`."""
        metrics = tree["metrics"]
        tuples = {name: tuple(metrics[name]) for name in ("recall_by_class", "precision_by_class")}
        confusion = tuple(tuple(row) for row in metrics["confusion"])
        return cls(**{**tree, "metrics": Metrics(**{**metrics, **tuples, "confusion": confusion})})
