"""Source system 004: a CNN of 1,572,551 parameters on FER2013, 75 epochs."""

from search_spaces.named_recipe import NamedRecipe

RECIPES = (
    NamedRecipe(
        name="fer-cnn4-32x256",
        dataset="fer2013",
        source="source system 004: EmotionClassifier, 63.10 % test accuracy on a split of its own",
        about="Four convolution blocks of 32 to 256 channels, one dense layer of 512.",
        stated={
            "architecture": "cnn4-32x256",
            "weights": "none",
            "image_size": 48,
            "normalisation": "zero_one",
            "dropout": 0.5,
        },
        # Its curves (train accuracy far below validation, disgust recall .67) speak for strong augmentation and class balancing.
        chosen={
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "schedule": "constant",
            "batch_size": 64,
            "class_weight_power": 1.0,
            "augmentation_strength": 0.5,
            "flip_probability": 0.5,
        },
        epochs=75,
    ),
)
