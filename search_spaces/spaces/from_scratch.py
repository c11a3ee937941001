"""Training a small network from random weights, at the size the images have."""

from search_spaces.dimensions import Choice, Float
from search_spaces.space import SearchSpace
from search_spaces.training import ADAM, OPTIMIZER, SGD, TRAINING

SPACE = SearchSpace(
    name="from_scratch",
    about="Train a network of 28 to 64 px images from random weights: architecture, learning rate, class weights, augmentation.",
    dimensions=(
        Choice(name="architecture", options=("cnn4-32x256", "cnn4-64x512", "resnet18")),
        OPTIMIZER,
        Float(name="learning_rate", low=1e-4, high=1e-2, log=True, when=ADAM),
        Float(name="learning_rate", low=3e-3, high=5e-1, log=True, when=SGD),
        *TRAINING,
    ),
)
