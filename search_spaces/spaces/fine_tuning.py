"""Fine-tuning a pretrained network: what to freeze, how fast to move the rest, how to weigh and disturb the
images.
"""

from search_spaces.dimensions import Choice, Float, one_of
from search_spaces.shared.augmentation import AUGMENTATION
from search_spaces.shared.classes import BALANCING
from search_spaces.shared.freezing import FREEZING, PRETRAINED
from search_spaces.shared.optimization import ADAM, OPTIMIZATION, OPTIMIZER, SGD
from search_spaces.space import SearchSpace

SCRATCH = {"weights": one_of("none")}

SPACE = SearchSpace(
    name="fine_tuning",
    about=(
        "Fine-tune a network pretrained on ImageNet: depth of freezing, learning rates, class weights, "
        "augmentation."
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
                "timm/legacy_xception",
            ),
        ),
        Choice(name="weights", options=("imagenet", "none"), about="where the weights start"),
        Choice(
            name="image_size",
            options=(48, 64, 96, 112, 160, 224),
            unit="px",
            about="side of what the network sees",
        ),
        *FREEZING,
        OPTIMIZER,
        Float(name="learning_rate", low=1e-6, high=3e-3, log=True, when=ADAM | PRETRAINED),
        Float(name="learning_rate", low=1e-4, high=1e-1, log=True, when=SGD | PRETRAINED),
        Float(name="learning_rate", low=1e-4, high=1e-2, log=True, when=ADAM | SCRATCH),
        Float(name="learning_rate", low=1e-3, high=1.0, log=True, when=SGD | SCRATCH),
        *OPTIMIZATION,
        *BALANCING,
        *AUGMENTATION,
    ),
)
