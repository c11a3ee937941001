"""Fine-tuning a pretrained network: what to freeze, how fast to move the rest, how to weigh and disturb the images."""

from search_spaces.dimensions import Choice, Float, Int, none_of, one_of
from search_spaces.space import SearchSpace
from search_spaces.training import ADAM, OPTIMIZER, SGD, TRAINING

PRETRAINED = {"weights": none_of("none")}

SPACE = SearchSpace(
    name="fine_tuning",
    about="Fine-tune a network pretrained on ImageNet: depth of freezing, learning rates, class weights, augmentation.",
    dimensions=(
        Choice(name="architecture", options=("resnet18", "resnet34", "resnet50")),
        Choice(name="weights", options=("imagenet", "none"), about="where the weights start"),
        Choice(name="image_size", options=(48, 64, 96, 160, 224), unit="px", about="side of what the network sees"),
        Choice(
            name="fine_tuning", options=("direct", "lp_ft"), when=PRETRAINED, about="lp_ft trains the head alone first (arXiv 2202.10054)"
        ),
        Float(
            name="probe_fraction",
            low=0.05,
            high=0.4,
            when=PRETRAINED | {"fine_tuning": one_of("lp_ft")},
            about="share of epochs for the head alone",
        ),
        Int(name="freeze_depth", low=0, high=4, unit="stages", when=PRETRAINED, about="stages frozen from the input; 4 leaves the head"),
        Choice(name="batch_norm", options=("eval_frozen", "train", "eval_all"), when=PRETRAINED, about="which statistics stay fixed"),
        OPTIMIZER,
        Float(name="learning_rate", low=1e-5, high=3e-3, log=True, when=ADAM),
        Float(name="learning_rate", low=1e-4, high=1e-1, log=True, when=SGD),
        *TRAINING,
    ),
)
