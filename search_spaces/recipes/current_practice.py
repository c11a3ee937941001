"""Recipes of today's practice for FER2013: what the source systems' networks, and better ones, reach with
current training.

No source states them. Values come from the repositories that published results on these images, from the
papers named, or are ours; each says which.
"""

from collections.abc import Mapping

from search_spaces.named_dataset import FER2013
from search_spaces.named_recipe import Chosen, NamedRecipe

_SCRATCH: Mapping[str, Chosen] = {
    "weights": Chosen("none", "the network has no published weights for images of this size"),
    "normalisation": Chosen("dataset", "our default: mean and deviation of the training split"),
    "optimizer": Chosen(
        "sgd", "SGD with Nesterov momentum, as in the code of Khaireddin and Chen and of LetheSec"
    ),
    "momentum": Chosen(0.9, "as in the code of Khaireddin and Chen, LetheSec and WuJie1010"),
    "learning_rate": Chosen(0.1, "LetheSec's, for the same batch"),
    "weight_decay": Chosen(5e-4, "WuJie1010's"),
    "schedule": Chosen(
        "cosine", "ends at a low rate without watching accuracies, as the published plateau schedules must"
    ),
    "warmup_fraction": Chosen(0.02, "ours: a few epochs before the full rate of SGD"),
    "batch_size": Chosen(128, "LetheSec's and WuJie1010's"),
    "label_smoothing": Chosen(0.1, "LetheSec's, and the paper's (arXiv:1512.00567)"),
    "augmentation_strength": Chosen(
        0.3, "rotates by up to 10.5 degrees; Khaireddin and Chen rotate by up to 10"
    ),
    "shear_degrees": Chosen(0.0, "none of the published recipes shears"),
    "erase_probability": Chosen(
        0.8, "times the strength of 0.3, erases in a quarter of the images (arXiv:1708.04896)"
    ),
    "flip_probability": Chosen(0.5, "every published recipe mirrors faces"),
    "mixing": Chosen("mixup", "LetheSec's"),
    "mixing_alpha": Chosen(
        0.4, "the strongest of the paper's range for images (arXiv:1710.09412); LetheSec takes 1"
    ),
    "mixing_off_fraction": Chosen(0.1, "ours: the last epochs see images as validation does"),
    "average_halflife": Chosen(1.0, "ours: an average of weights in place of the best of many epochs"),
}
_TUNED: Mapping[str, Chosen] = {
    "weights": Chosen("imagenet", "the recipe fine-tunes"),
    "image_size": Chosen(224, "the size that the pretrained weights were trained at"),
    "crop_margin": Chosen(32, "224 out of 256 pixels, as ImageNet is tested"),
    "normalisation": Chosen("architecture", "what the pretrained weights were trained on"),
    "gray_adapter": Chosen("replicate", "the pretrained stem sees gray images as it saw colour ones"),
    "optimizer": Chosen("adamw", "our default for fine-tuning"),
    "weight_decay": Chosen(0.05, "ConvNeXt's for training (arXiv:2201.03545)"),
    "schedule": Chosen("cosine", "our default: ends at a low rate"),
    "warmup_fraction": Chosen(0.05, "ours: an epoch or two of 30 before the full rate"),
    "batch_size": Chosen(64, "our default"),
    "label_smoothing": Chosen(0.1, "the paper's (arXiv:1512.00567)"),
    "augmentation_strength": Chosen(
        0.4, "ours: rotates by up to 14 degrees, half of what the ResMaskingNet recipe does"
    ),
    "shear_degrees": Chosen(0.0, "none of the published recipes shears"),
    "erase_probability": Chosen(
        0.5, "times the strength of 0.4, erases in a fifth of the images (arXiv:1708.04896)"
    ),
    "flip_probability": Chosen(0.5, "every published recipe mirrors faces"),
    "average_halflife": Chosen(
        0.5, "ours: an average of weights in place of the best epoch, short as 30 epochs are"
    ),
    "views": Chosen("flip", "ours: the mirror image for twice the cost of a prediction"),
}
_LP_FT: Mapping[str, Chosen] = {
    **_TUNED,
    "fine_tuning": Chosen("lp_ft", "the recipe's point (arXiv:2202.10054)"),
    "probe_fraction": Chosen(0.1, "ours: 3 of 30 epochs for the head alone"),
    "probe_multiplier": Chosen(10.0, "ours: a new head alone takes a rate of 3e-3"),
    "learning_rate": Chosen(3e-4, "ours: a third of Adam's default"),
}
_LAYER_DECAY: Mapping[str, Chosen] = {
    **_TUNED,
    "fine_tuning": Chosen("layer_decay", "the recipe's point (arXiv:1801.06146)"),
    "layer_decay": Chosen(0.8, "ours: a little above timm's default of 0.75"),
}
_EPOCHS = Chosen(30, "ours: fewer than the 50 that ResMaskingNet trains at most")


def _recipe(
    name: str, about: str, source: str, parameters: int, epochs: Chosen, values: Mapping[str, Chosen]
) -> NamedRecipe:
    return NamedRecipe(
        name=name,
        dataset=FER2013,
        source=source,
        about=about,
        parameters=parameters,
        stated={},
        chosen=values,
        epochs=int(epochs.value),
        epochs_chosen=epochs.why,
    )


RECIPES = (
    _recipe(
        "fer-small",
        "The network of source 004 trained well: for two CPU cores and an hour.",
        "ours, meant to beat sources 000 and 004",
        1_572_551,
        Chosen(45, "about an hour on two CPU cores"),
        {
            **_SCRATCH,
            "architecture": Chosen("cnn4-32x256", "source 004's"),
            "image_size": Chosen(48, "the size that the images have"),
            "dropout": Chosen(
                0.3,
                "ours: below source 004's 0.5, as smoothing, erasing and weight decay hold the network back "
                "too",
            ),
            "augmentation_strength": Chosen(
                0.2, "at 0.3 the network no longer fits the training images in source 004's recipe"
            ),
            "optimizer": Chosen("adamw", "our default"),
            "learning_rate": Chosen(
                3e-3, "ours: three times Adam's default, as the rate falls along a cosine"
            ),
            "weight_decay": Chosen(0.02, "ours: decoupled from the rate, so larger than SGD's"),
            "mixing": Chosen("none", "ours: the network is small and its epochs are few"),
            "label_smoothing": Chosen(0.05, "ours: half the usual, for a small network"),
            "erase_probability": Chosen(
                0.5, "times the strength of 0.2, erases in a tenth of the images (arXiv:1708.04896)"
            ),
            "average_halflife": Chosen(0.5, "ours: an average of weights in place of the best epoch"),
            "views": Chosen("flip", "ours: the mirror image for twice the cost of a prediction"),
        },
    ),
    _recipe(
        "fer-vgg8",
        "A VGG of eight convolutions at 40 px, from scratch.",
        "after Khaireddin and Chen (arXiv:2105.03588) with a cosine, mixup, an average and ten crops",
        29_890_759,
        Chosen(100, "a third of their 300, as a cosine needs no plateau to be waited for"),
        {
            **_SCRATCH,
            "architecture": Chosen("vgg8-64x512", "theirs"),
            "image_size": Chosen(40, "theirs"),
            "crop_margin": Chosen(8, "theirs: 40 out of 48 pixels"),
            "dropout": Chosen(0.2, "theirs"),
            "learning_rate": Chosen(0.02, "their 0.01 for a batch of 64, in proportion to ours"),
            "views": Chosen("ten_crop", "theirs"),
        },
    ),
    _recipe(
        "fer-r18-3x3",
        "ResNet-18 with a 3x3 stem at 44 px, from scratch.",
        "after LetheSec's and WuJie1010's repositories with a cosine, mixup, an average and ten crops; "
        "target 72.6 %",
        11_171_271,
        Chosen(150, "half of LetheSec's 300, as a cosine needs no plateau to be waited for"),
        {
            **_SCRATCH,
            "architecture": Chosen("resnet18-3x3", "theirs"),
            "image_size": Chosen(44, "WuJie1010's"),
            "crop_margin": Chosen(4, "WuJie1010's: 44 out of 48 pixels"),
            "dropout": Chosen(0.2, "ours: as fer-vgg8"),
            "views": Chosen("ten_crop", "theirs"),
        },
    ),
    _recipe(
        "fer-r34-lp-ft",
        "ResNet-34 from ImageNet: the head first, then everything.",
        "linear probing then fine-tuning (arXiv:2202.10054)",
        21_288_263,
        _EPOCHS,
        {
            **_LP_FT,
            "architecture": Chosen(
                "resnet34", "the plain network behind ResMaskingNet, which publishes 72.4 % for it"
            ),
        },
    ),
    _recipe(
        "fer-r50-lp-ft",
        "ResNet-50 from ImageNet: the head first, then everything.",
        "linear probing then fine-tuning (arXiv:2202.10054)",
        23_522_375,
        _EPOCHS,
        {**_LP_FT, "architecture": Chosen("resnet50", "source 002's backbone without its head")},
    ),
    _recipe(
        "fer-r50-layer-decay",
        "ResNet-50 from ImageNet, earlier blocks slower.",
        "layer-wise decay of learning rates (arXiv:1801.06146, as timm has it)",
        23_522_375,
        _EPOCHS,
        {
            **_LAYER_DECAY,
            "architecture": Chosen("resnet50", "source 002's backbone without its head"),
            "head_multiplier": Chosen(5.0, "ours: the head is new, the rest is not"),
            "learning_rate": Chosen(5e-4, "ours: that of the last block; the others' are lower"),
        },
    ),
    _recipe(
        "fer-convnext-tiny",
        "ConvNeXt-Tiny from ImageNet, earlier blocks slower.",
        "ConvNeXt (arXiv:2201.03545) fine-tuned with layer-wise decay",
        27_825_511,
        _EPOCHS,
        {
            **_LAYER_DECAY,
            "architecture": Chosen("convnext_tiny", "the recipe's point"),
            "learning_rate": Chosen(2e-4, "ours: lower than for ResNet-50"),
            "drop_path": Chosen(0.1, "the paper's, for the tiny network"),
            "mixing": Chosen("mixup", "the paper trains with it"),
            "mixing_alpha": Chosen(0.4, "the strongest of the range of arXiv:1710.09412 for images"),
            "mixing_off_fraction": Chosen(0.1, "ours: the last epochs see images as validation does"),
        },
    ),
)
