"""Source system 001: ResNet-18 on FER2013 with more and more of it frozen."""

from search_spaces.named_recipe import NamedRecipe
from search_spaces.space import Point

_STATED: Point = {"architecture": "resnet18", "weights": "imagenet", "image_size": 224, "schedule": "step"}
_CHOSEN: Point = {
    "normalisation": "architecture",
    "fine_tuning": "direct",
    "batch_norm": "train",
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "batch_size": 64,
    "augmentation_strength": 0.1,
    "flip_probability": 0.5,
}


def _frozen(name: str, depth: int, what: str, result: str) -> NamedRecipe:
    return NamedRecipe(
        name=name,
        dataset="fer2013",
        source=f"source system 001: ResNet-18 with {what} frozen, {result}",
        about=f"ResNet-18 pretrained on ImageNet, {what} frozen.",
        stated={**_STATED, "freeze_depth": depth},
        chosen=dict(_CHOSEN),
        epochs=15,
    )


RECIPES = (
    _frozen("fer-r18-freeze-0", 0, "nothing", "the row its sweep lacks"),
    _frozen("fer-r18-freeze-l1", 1, "layer 1", "66.7 % test accuracy"),
    _frozen("fer-r18-freeze-l12", 2, "layers 1 and 2", "65.5 % test accuracy"),
    _frozen("fer-r18-freeze-l123", 3, "layers 1 to 3", "62.9 % test accuracy"),
    _frozen("fer-r18-freeze-all", 4, "everything but the head", "42.4 % test accuracy"),
)
