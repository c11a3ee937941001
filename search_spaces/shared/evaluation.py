"""How a trained network is evaluated: views, calibration."""

from search_spaces.dimensions import Choice, Dimension

EVALUATION: tuple[Dimension, ...] = (
    Choice(
        name="views", options=("one", "flip"), about="images asked about once, or with their mirror image"
    ),
    Choice(
        name="calibration",
        options=("none", "temperature"),
        about="fitted to validation once training has ended",
    ),
)
