"""Dimensions that every training has, whatever it starts from."""

from search_spaces.dimensions import Choice, Dimension, Float, one_of

ADAM = {"optimizer": one_of("adam", "adamw")}
SGD = {"optimizer": one_of("sgd")}

OPTIMIZER = Choice(name="optimizer", options=("adamw", "sgd", "adam"))

TRAINING: tuple[Dimension, ...] = (
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
)
