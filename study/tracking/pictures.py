"""Pictures of a training, as matplotlib figures."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from trainables.epoch import Epoch
from trainables.metrics import Metrics

MAX_NUMBERED_CLASSES = 20
"""Beyond this many classes the cells of a confusion matrix are too small for numbers."""


def learning_curves(epochs: Sequence[Epoch]) -> Any:
    """Losses and validation scores over epochs, with a line where a phase begins."""
    figure = _figure(9, 3.6)
    losses, scores = figure.subplots(1, 2)
    numbers = [epoch.number for epoch in epochs]
    losses.plot(numbers, [epoch.train_loss for epoch in epochs], label="training loss")
    losses.plot(numbers, [epoch.metrics.log_loss for epoch in epochs], label="validation log-loss")
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        scores.plot(numbers, [getattr(epoch.metrics, name) for epoch in epochs], label=name.replace("_", " "))
    for axes in (losses, scores):
        for before, after in pairwise(epochs):
            if after.phase != before.phase:
                axes.axvline(after.number - 0.5, color="gray", linestyle=":", linewidth=1)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    losses.set_title("loss")
    scores.set_title("validation")
    return figure


def confusion_matrix(metrics: Metrics, classes: Sequence[str]) -> Any:
    """Counts by true class (rows) and predicted class, shaded by the share of the true class."""
    counts_KK = np.asarray(metrics.confusion)
    shares_KK = counts_KK / np.maximum(counts_KK.sum(1, keepdims=True), 1)
    side = min(4 + 0.45 * len(classes), 14)
    figure = _figure(side, side)
    axes = figure.subplots()
    axes.imshow(shares_KK, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"accuracy {metrics.accuracy:.2%}, macro-F1 {metrics.macro_f1:.3f}, {metrics.num_images:,} images")
    if len(classes) <= MAX_NUMBERED_CLASSES:
        for (row, column), count in np.ndenumerate(counts_KK):
            axes.text(
                column, row, str(count), ha="center", va="center", fontsize=8, color="white" if shares_KK[row, column] > 0.5 else "black"
            )
    return figure


def _figure(width_inches: float, height_inches: float) -> Any:
    # Figure by itself, without pyplot, keeps no global list of open figures and is safe in a thread.
    from matplotlib.figure import Figure

    return Figure(figsize=(width_inches, height_inches), layout="constrained", dpi=100)
