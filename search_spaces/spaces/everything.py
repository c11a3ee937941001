"""All dimensions there are: to narrow and fix from, rather than to search whole."""

from search_spaces.dimensions import Choice, Float, one_of
from search_spaces.shared.augmentation import AUGMENTATION_FURTHER
from search_spaces.shared.classes import BALANCING_FURTHER
from search_spaces.shared.evaluation import EVALUATION
from search_spaces.shared.freezing import FREEZING, PRETRAINED
from search_spaces.shared.inputs import DROP_PATH, HEADS, INPUTS
from search_spaces.shared.optimization import ADAM, OPTIMIZATION_FURTHER, OPTIMIZER, SGD
from search_spaces.space import SearchSpace

_SCRATCH = {"weights": one_of("none")}
_RESIDUAL = {"architecture": one_of("resnet18", "resnet34", "resnet50", "efficientnet_b3", "convnext_tiny")}

SPACE = SearchSpace(
    name="everything",
    about=(
        "Every dimension of pretrained networks: losses, mixing, schedules, heads, adapters, views; for "
        "large budgets, or to fix from."
    ),
    dimensions=(
        Choice(
            name="architecture",
            options=(
                "resnet18",
                "resnet34",
                "resnet50",
                "mobilenet_v3_small",
                "efficientnet_b3",
                "convnext_tiny",
            ),
        ),
        Choice(name="weights", options=("imagenet", "none"), about="where the weights start"),
        Choice(
            name="image_size",
            options=(40, 44, 48, 64, 96, 112, 160, 224),
            unit="px",
            about="side of what the network sees",
        ),
        *INPUTS,
        *HEADS,
        *FREEZING,
        OPTIMIZER,
        Float(name="learning_rate", low=1e-6, high=3e-3, log=True, when=ADAM | PRETRAINED),
        Float(name="learning_rate", low=1e-4, high=1e-1, log=True, when=SGD | PRETRAINED),
        Float(name="learning_rate", low=1e-4, high=1e-2, log=True, when=ADAM | _SCRATCH),
        Float(name="learning_rate", low=1e-3, high=1.0, log=True, when=SGD | _SCRATCH),
        *OPTIMIZATION_FURTHER,
        *BALANCING_FURTHER,
        *AUGMENTATION_FURTHER,
        Float(
            name="drop_path", low=DROP_PATH.low, high=DROP_PATH.high, when=_RESIDUAL, about=DROP_PATH.about
        ),
        *EVALUATION,
    ),
)
