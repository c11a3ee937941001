"""Source system 003: a plain CNN on FER2013, widths 64 to 512, 15 epochs."""

from search_spaces.named_dataset import FER2013
from search_spaces.named_recipe import Chosen, NamedRecipe, Result

RECIPES = (
    NamedRecipe(
        name="fer-cnn4-64x512",
        dataset=FER2013,
        source="source system 003",
        about="Four convolution blocks of 64 to 512 channels, three dense layers, no augmentation.",
        parameters=4_044_679,
        stated={
            "architecture": "cnn4-64x512",
            "weights": "none",
            "image_size": 48,
            "normalisation": "zero_one",
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "batch_size": 64,
        },
        chosen={
            "dropout": Chosen(0.5, "dropout is stated, its share is not"),
            "schedule": Chosen("constant", "no schedule is named"),
            "weight_decay": Chosen(
                1e-6, "Adam's default is none: this is as good as none, and inside the spaces"
            ),
        },
        epochs=15,
        result=Result(value=0.5180, measured_on="the 7,178 images of both test splits"),
        not_rebuilt="measured on public and private test together; the public one is our validation split",
    ),
)
