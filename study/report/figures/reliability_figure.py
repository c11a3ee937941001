"""The reliability diagram: how far probabilities can be taken at their word."""

import numpy as np
from numpy.typing import NDArray

from study.report.figures.palette import BLUE, GRAY, faint, framed
from study.report.figures.picture import Picture, Table
from trainables.metrics.calibration import NUM_BINS, error_of_bins

# B bins


def reliability_picture(
    num_B: NDArray[np.int64], num_right_B: NDArray[np.int64], confidence_B: NDArray[np.float64], whose: str
) -> Picture:
    """Accuracy by confidence, in bins of equal width, and the share of images in each below."""
    seen = [int(index) for index in np.flatnonzero(num_B)]
    accuracy = {index: float(num_right_B[index] / num_B[index]) for index in seen}
    confidence = {index: float(confidence_B[index] / num_B[index]) for index in seen}
    middles = [(index + 0.5) / NUM_BINS for index in seen]
    total = int(num_B.sum())
    texts = [
        f"{num_B[index]:,} images given {confidence[index]:.0%} on average: {accuracy[index]:.0%} are right"
        for index in seen
    ]
    figure = framed(height=420, x="probability of the predicted class", y="share that is right", bargap=0.04)
    figure.add_bar(
        x=middles,
        y=[accuracy[index] for index in seen],
        width=1 / NUM_BINS,
        name="share that is right",
        marker={"color": faint(BLUE, 0.5), "line": {"color": BLUE, "width": 1.5}},
        hovertext=texts,
        hoverinfo="text",
    )
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="as confident as right",
        line={"color": GRAY, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.add_bar(
        x=middles,
        y=[float(num_B[index] / total) for index in seen],
        width=1 / NUM_BINS,
        yaxis="y2",
        name="share of images",
        marker={"color": GRAY},
        hovertext=texts,
        hoverinfo="text",
    )
    figure.update_layout(
        yaxis={"domain": [0.32, 1], "range": [0, 1.02], "tickformat": ".0%"},
        yaxis2={
            "domain": [0, 0.2],
            "title": {"text": "images", "standoff": 8},
            "tickformat": ".0%",
            "automargin": True,
            "rangemode": "tozero",
            "nticks": 3,
        },
        xaxis={"range": [0, 1.001], "tickformat": ".0%", "dtick": 0.2, "ticks": "outside", "anchor": "y2"},
        barmode="overlay",
    )
    error = error_of_bins(num_B, num_right_B, confidence_B)
    gap = (float(confidence_B.sum()) - float(num_right_B.sum())) / total
    lean = "less" if gap > 0 else "more"
    return Picture(
        figure=figure,
        title="Reliability diagram",
        caption=(
            f"{whose}: where bars end at the dotted line, probabilities can be taken at their word. On "
            f"average the model is right {100 * abs(gap):.1f} percentage points {lean} often than its "
            f"probabilities say; the expected calibration error is {error:.3f}."
        ),
        table=Table(
            caption="Probability and share that is right",
            columns=("probability given", "images", "mean probability", "share that is right"),
            rows=tuple(
                (
                    f"{index / NUM_BINS:.0%} to {(index + 1) / NUM_BINS:.0%}",
                    f"{num_B[index]:,}",
                    f"{confidence[index]:.1%}",
                    f"{accuracy[index]:.1%}",
                )
                for index in seen
            ),
        ),
    )
