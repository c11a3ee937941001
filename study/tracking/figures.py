"""Pictures of a training, as matplotlib figures."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from study.names import TRAIN_LOSS, validation_metric
from study.tracking.log_records import Measured
from trainables.metrics.calibration import NUM_BINS
from trainables.metrics.inspection import Inspection

MAX_NUMBERED_CLASSES = 20
"""Beyond this many classes the cells of a confusion matrix are too small for numbers."""


def learning_curves(epochs: Sequence[Measured]) -> Any:
    """Losses and validation scores over epochs, with a line where a phase begins."""
    figure = _figure(9, 3.6, left=0.5, bottom=0.5)
    losses, scores = figure.subplots(1, 2)
    numbers = [epoch.step for epoch in epochs]
    losses.plot(numbers, [epoch.metrics[TRAIN_LOSS] for epoch in epochs], label="training loss")
    losses.plot(
        numbers,
        [epoch.metrics[validation_metric("log_loss")] for epoch in epochs],
        label="validation log-loss",
    )
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        scores.plot(
            numbers,
            [epoch.metrics[validation_metric(name)] for epoch in epochs],
            label=name.replace("_", " "),
        )
    for axes in (losses, scores):
        for before, after in pairwise(epochs):
            if after.phase != before.phase:
                axes.axvline(after.step - 0.5, color="gray", linestyle=":", linewidth=1)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    losses.set_title("loss")
    scores.set_title("validation")
    return figure


def confusion_matrix(inspection: Inspection, classes: Sequence[str]) -> Any:
    """Counts by true class (rows) and predicted class, shaded by the share of the true class."""
    counts_KK = inspection.confusion_KK
    shares_KK = counts_KK / np.maximum(counts_KK.sum(1, keepdims=True), 1)
    side = min(4 + 0.45 * len(classes), 14)
    name_inches = min(0.09 * max(len(name) for name in classes), side / 4)
    figure = _figure(side, side, left=0.5 + name_inches, bottom=0.5 + 0.8 * name_inches)
    axes = figure.subplots()
    axes.imshow(shares_KK, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(
        f"validation, epoch {inspection.epoch}: accuracy {_accuracy(inspection):.2%}, "
        f"{inspection.num_B.sum():,} images"
    )
    if len(classes) <= MAX_NUMBERED_CLASSES:
        for (row, column), count in np.ndenumerate(counts_KK):
            axes.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares_KK[row, column] > 0.5 else "black",
            )
    return figure


def reliability_diagram(inspection: Inspection) -> Any:
    """Accuracy by confidence, in bins of equal width, with the share of images in each below."""
    figure = _figure(4.6, 5.2, left=0.7, bottom=0.5)
    accuracy, share = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    middles_B = (np.arange(NUM_BINS) + 0.5) / NUM_BINS
    seen_B = inspection.num_B > 0
    accuracy_B = inspection.num_right_B / np.maximum(inspection.num_B, 1)
    accuracy.bar(middles_B[seen_B], accuracy_B[seen_B], width=1 / NUM_BINS, edgecolor="white")
    accuracy.plot((0, 1), (0, 1), color="gray", linestyle=":", label="as confident as right")
    accuracy.set_ylabel("accuracy")
    accuracy.set_title(
        f"validation, epoch {inspection.epoch}: calibration error {inspection.calibration_error:.3f}",
        fontsize=10,
    )
    accuracy.legend(fontsize=8)
    share.bar(
        middles_B,
        inspection.num_B / inspection.num_B.sum(),
        width=1 / NUM_BINS,
        color="gray",
        edgecolor="white",
    )
    share.set_ylabel("images")
    share.set_xlabel("probability of the predicted class")
    share.set_xlim(0, 1)
    return figure


def _accuracy(inspection: Inspection) -> float:
    return float(inspection.num_right_B.sum() / inspection.num_B.sum())


def _figure(width: float, height: float, *, left: float, bottom: float) -> Any:
    """A figure of that size, with room for names at its left and below, in inches."""
    # Figure by itself, without pyplot, keeps no global list of open figures and is safe in a thread.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100)
    # Margins by hand: those that matplotlib finds by itself double the time.
    figure.subplots_adjust(
        left=left / width, bottom=bottom / height, right=1 - 0.15 / width, top=1 - 0.4 / height
    )
    return figure
