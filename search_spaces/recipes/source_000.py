"""Source system 000: Fashion-MNIST in three classes with a CNN, and ResNet-18 on FER2013, from scratch and
fine-tuned.
"""

from search_spaces.dimensions import Value
from search_spaces.named_dataset import FASHION, FASHION3, FASHION3_PERMUTED, FER2013, NamedDataset
from search_spaces.named_recipe import Chosen, NamedRecipe, Result

_FASHION_STATED: dict[str, Value] = {
    "architecture": "cnn4-32x64",
    "weights": "none",
    "image_size": 28,
    "optimizer": "adam",
    "dropout": 0.5,
}
_FASHION_CHOSEN = {
    "normalisation": Chosen("zero_one", "the document says nothing of scaling; the simplest"),
    "learning_rate": Chosen(1e-3, "Adam's default"),
    "batch_size": Chosen(128, "usual for 60,000 small images"),
    "schedule": Chosen("cosine", "ends a short training well"),
    "weight_decay": Chosen(1e-6, "Adam's default is none: this is as good as none, and inside the spaces"),
}


def _fashion(name: str, dataset: NamedDataset, about: str, accuracy: float) -> NamedRecipe:
    return NamedRecipe(
        name=name,
        dataset=dataset,
        source="source system 000",
        about=about,
        parameters=1_690_595,
        stated=dict(_FASHION_STATED),
        chosen=_FASHION_CHOSEN,
        epochs=10,
        result=Result(value=accuracy, measured_on="the 10,000 test images"),
    )


_COLLAPSED = NamedRecipe(
    name="fashion3-collapsed",
    dataset=FASHION,
    source="source system 000, by way of ten classes",
    about="The same CNN trained on ten classes; the probabilities of each group are summed.",
    parameters=1_694_186,
    stated=dict(_FASHION_STATED),
    chosen=_FASHION_CHOSEN,
    epochs=10,
    result=Result(value=0.9951, measured_on="the 10,000 test images, in three classes"),
    groups={
        "clothes": ("T - shirt / top", "Pullover", "Dress", "Coat", "Shirt"),
        "shoes": ("Sandal", "Sneaker", "Ankle boot"),
        "others": ("Trouser", "Bag"),
    },
)

_RESNET_STATED: dict[str, Value] = {
    "architecture": "resnet18",
    "image_size": 224,
    "normalisation": "given",
    "pixel_mean": 0.51,
    "pixel_std": 0.20,
    "optimizer": "adam",
}


def _resnet(name: str, about: str, weights: str, rate: Chosen, epochs: int, accuracy: float) -> NamedRecipe:
    return NamedRecipe(
        name=name,
        dataset=FER2013,
        source="source system 000",
        about=about,
        parameters=11_180_103,
        stated={**_RESNET_STATED, "weights": weights},
        chosen={
            "learning_rate": rate,
            "gray_adapter": Chosen(
                "replicate", "gray images in three colour channels, as the document has them"
            ),
            "batch_size": Chosen(64, "the document says nothing; usual"),
            "schedule": Chosen("constant", "no schedule is named"),
            "weight_decay": Chosen(
                1e-6, "Adam's default is none: this is as good as none, and inside the spaces"
            ),
            "batch_norm": Chosen("train", "PyTorch's behaviour where nothing is said"),
        },
        epochs=epochs,
        result=Result(value=accuracy, measured_on="the 7,178 images of both test splits"),
        not_rebuilt="measured on public and private test together; the public one is our validation split",
    )


RECIPES = (
    _fashion("fashion3-cnn", FASHION3, "A CNN of two pairs of convolutions, in three classes.", 0.9951),
    _fashion(
        "fashion3-cnn-permuted",
        FASHION3_PERMUTED,
        "The same on images whose pixels are in a random order.",
        0.9917,
    ),
    _COLLAPSED,
    _resnet(
        "fer-r18-scratch",
        "ResNet-18 from random weights.",
        "none",
        Chosen(1e-3, "Adam's default"),
        15,
        0.6048,
    ),
    _resnet(
        "fer-r18-tuned",
        "ResNet-18 from ImageNet, nothing frozen.",
        "imagenet",
        Chosen(1e-4, "usual for fine-tuning"),
        10,
        0.6510,
    ),
)
