"""Source system 004: a CNN of 1,572,551 parameters on FER2013, 75 epochs."""

from search_spaces.named_dataset import FER2013
from search_spaces.named_recipe import Chosen, NamedRecipe, Result

_CURVES = "its curves (training accuracy far below validation) speak for strong augmentation"

RECIPES = (
    NamedRecipe(
        name="fer-cnn4-32x256",
        dataset=FER2013,
        source="source system 004",
        about="Four convolution blocks of 32 to 256 channels, one dense layer of 512.",
        parameters=1_572_551,
        stated={
            "architecture": "cnn4-32x256",
            "weights": "none",
            "image_size": 48,
            "normalisation": "zero_one",
            "dropout": 0.5,
        },
        chosen={
            "optimizer": Chosen("adam", "not stated; usual"),
            "learning_rate": Chosen(1e-3, "Adam's default"),
            "schedule": Chosen("cosine", "not stated; ends well"),
            "batch_size": Chosen(64, "not stated; usual"),
            "weight_decay": Chosen(
                1e-6, "Adam's default is none: this is as good as none, and inside the spaces"
            ),
            "augmentation_strength": Chosen(
                0.2, _CURVES + "; at 0.3 the network no longer fits it, 59.6 % after 30 epochs"
            ),
            "flip_probability": Chosen(0.5, _CURVES),
            "patience": Chosen(15, "plateau detection is proposed, its length is not stated"),
        },
        epochs=75,
        result=Result(value=0.6310, measured_on="5,266 images of a split of its own"),
        not_rebuilt=(
            "its test split of 5,266 images (1,277 sad, 357 neutral) is no split of FER2013 and cannot be "
            "rebuilt"
        ),
    ),
)
