"""Source system 001: a CNN on notMNIST, and ResNet-18 on FER2013 with more and more of it frozen."""

from search_spaces.dimensions import Value
from search_spaces.named_dataset import FER2013, NOTMNIST, NOTMNIST_PERMUTED, NamedDataset
from search_spaces.named_recipe import Chosen, NamedRecipe, Result


def _letters(name: str, dataset: NamedDataset, about: str, result: Result) -> NamedRecipe:
    return NamedRecipe(
        name=name,
        dataset=dataset,
        source="source system 001",
        about=about,
        parameters=421_834,
        stated={"weights": "none", "image_size": 28, "normalisation": "zero_one", "optimizer": "adam"},
        chosen={
            "architecture": Chosen(
                "cnn2-32x64", "two convolutions, pooling and one dense layer are stated, widths are not"
            ),
            "learning_rate": Chosen(1e-3, "Adam's default"),
            "batch_size": Chosen(64, "the document says nothing; usual"),
            "schedule": Chosen("constant", "no schedule is named"),
            "weight_decay": Chosen(
                1e-6, "Adam's default is none: this is as good as none, and inside the spaces"
            ),
        },
        epochs=10,
        result=result,
    )


_STATED: dict[str, Value] = {
    "architecture": "resnet18",
    "image_size": 224,
    "schedule": "step",
    "flip_probability": 0.5,
}
_CHOSEN = {
    "crop_margin": Chosen(32, "random crops are stated, their margin is not: 224 out of 256 is usual"),
    "normalisation": Chosen("architecture", "what the pretrained weights were trained on"),
    "gray_adapter": Chosen(
        "replicate", "ResNet expects RGB, the document says; gray images shown three times"
    ),
    "optimizer": Chosen("adam", "Adam/SGD, the document says"),
    "step_epochs": Chosen(7, "a step schedule is stated, its step is not: PyTorch's tutorial on fine-tuning"),
    "batch_size": Chosen(64, "the document says nothing; usual"),
    "weight_decay": Chosen(1e-6, "Adam's default is none: this is as good as none, and inside the spaces"),
    "batch_norm": Chosen("train", "PyTorch's behaviour where only requires_grad is set"),
}


def _sweep(name: str, about: str, weights: str, depth: int, accuracy: float | None) -> NamedRecipe:
    freezing: dict[str, Value] = {"fine_tuning": "suffix", "freeze_depth": depth} if depth else {}
    rate = 1e-3 if weights == "none" else 1e-4
    return NamedRecipe(
        name=name,
        dataset=FER2013,
        source="source system 001" if accuracy else "source system 001: the row its sweep lacks",
        about=about,
        parameters=11_180_103,
        stated={**_STATED, **freezing, "weights": weights},
        chosen={
            **_CHOSEN,
            "learning_rate": Chosen(rate, "Adam's default" if weights == "none" else "usual for fine-tuning"),
        },
        epochs=15,
        epochs_chosen="the document does not say; as source 000",
        result=None if accuracy is None else Result(value=accuracy),
        not_rebuilt="its split into train, validation and test is not stated",
    )


RECIPES = (
    _letters(
        "notmnist-cnn",
        NOTMNIST,
        "A CNN of two convolutions on letters.",
        Result(value=0.93, measured_on="the test split, about"),
    ),
    _letters(
        "notmnist-cnn-permuted",
        NOTMNIST_PERMUTED,
        "The same on letters whose pixels are in a random order.",
        Result(value=0.90, measured_on="the validation split, about"),
    ),
    _sweep("fer-r18-freeze-scratch", "ResNet-18 from random weights.", "none", 0, 0.591),
    _sweep("fer-r18-freeze-0", "ResNet-18 from ImageNet, nothing frozen.", "imagenet", 0, None),
    _sweep("fer-r18-freeze-l1", "ResNet-18 from ImageNet, stem and layer 1 frozen.", "imagenet", 1, 0.667),
    _sweep(
        "fer-r18-freeze-l12", "ResNet-18 from ImageNet, stem and layers 1 and 2 frozen.", "imagenet", 2, 0.655
    ),
    _sweep(
        "fer-r18-freeze-l123", "ResNet-18 from ImageNet, stem and layers 1 to 3 frozen.", "imagenet", 3, 0.629
    ),
    _sweep("fer-r18-freeze-all", "ResNet-18 from ImageNet, only the head trained.", "imagenet", 4, 0.424),
)
