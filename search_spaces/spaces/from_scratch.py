"""Training a small network from random weights, at the size the images have."""

from search_spaces.dimensions import Choice, Float, one_of
from search_spaces.space import SearchSpace

ADAM = {"optimizer": one_of("adam", "adamw")}
SGD = {"optimizer": one_of("sgd")}

SPACE = SearchSpace(
    name="from_scratch",
    about="Train a network of 28 to 64 px images from random weights: architecture, learning rate, class weights, augmentation.",
    dimensions=(
        Choice(name="architecture", options=("cnn4-32x256", "cnn4-64x512", "resnet18")),
        Choice(name="optimizer", options=("adamw", "sgd", "adam")),
        Float(name="learning_rate", low=1e-4, high=1e-2, log=True, when=ADAM),
        Float(name="learning_rate", low=3e-3, high=5e-1, log=True, when=SGD),
        Float(name="momentum", low=0.8, high=0.99, when=SGD),
        Float(name="weight_decay", low=1e-6, high=1e-1, log=True),
        Choice(name="schedule", options=("cosine", "constant", "step"), about="how the learning rate falls"),
        Float(name="warmup_fraction", low=0.0, high=0.2),
        Choice(name="batch_size", options=(32, 64, 128, 256), unit="images"),
        Float(name="class_weight_power", low=0.0, high=1.0, about="0 none, 1 balanced"),
        Float(name="label_smoothing", low=0.0, high=0.2),
        Float(name="augmentation_strength", low=0.0, high=1.0),
        Choice(name="flip_probability", options=(0.0, 0.5), about="mirror images; 0 for letters and digits"),
        Float(name="dropout", low=0.0, high=0.6, about="before the last layer"),
    ),
)
