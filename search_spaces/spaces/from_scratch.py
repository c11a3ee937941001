"""Training a small network from random weights, at the size the images have."""

from search_spaces.dimensions import Choice, Float
from search_spaces.shared.augmentation import AUGMENTATION
from search_spaces.shared.classes import BALANCING
from search_spaces.shared.optimization import ADAM, OPTIMIZATION, OPTIMIZER, SGD
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="from_scratch",
    about=(
        "Train a network of 28 to 64 px images from random weights: architecture, learning rate, class "
        "weights, augmentation."
    ),
    dimensions=(
        Choice(
            name="architecture",
            options=(
                "cnn2-32x64",
                "cnn4-32x64",
                "cnn4-32x256",
                "cnn4-64x512",
                "vgg8-64x512",
                "resnet18-3x3",
                "resnet18",
            ),
        ),
        OPTIMIZER,
        Float(name="learning_rate", low=1e-4, high=1e-2, log=True, when=ADAM),
        Float(name="learning_rate", low=1e-3, high=1.0, log=True, when=SGD),
        *OPTIMIZATION,
        *BALANCING,
        *AUGMENTATION,
    ),
)
