"""The space of the quickstart: a small network on 8x8 digits, a few seconds a trial on one core."""

from search_spaces.dimensions import Choice, Float
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="digits",
    about="Train a small CNN on images of about 8 to 16 px.",
    dimensions=(
        Choice(name="architecture", options=("cnn2-32x64",)),
        Choice(name="optimizer", options=("adamw", "adam")),
        Float(name="learning_rate", low=3e-4, high=3e-2, log=True),
        Float(name="weight_decay", low=1e-6, high=1e-1, log=True),
        Choice(name="batch_size", options=(32, 64, 128), unit="images"),
        Float(name="label_smoothing", low=0.0, high=0.2),
        Float(name="augmentation_strength", low=0.0, high=0.6),
        Float(name="dropout", low=0.0, high=0.6, about="before the last layer"),
    ),
)
