"""Source system 003: a plain CNN on FER2013, widths 64 to 512, 15 epochs."""

from search_spaces.named_recipe import NamedRecipe

RECIPES = (
    NamedRecipe(
        name="fer-cnn4-64x512",
        dataset="fer2013",
        source="source system 003: plain CNN, 51.80 % test accuracy",
        about="Four convolution blocks of 64 to 512 channels, three dense layers, no augmentation.",
        stated={
            "architecture": "cnn4-64x512",
            "weights": "none",
            "image_size": 48,
            "normalisation": "zero_one",
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "batch_size": 64,
            "augmentation_strength": 0.0,
        },
        chosen={"schedule": "constant", "dropout": 0.5},
        epochs=15,
    ),
)
