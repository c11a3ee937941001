"""What a network makes of images before it decides: the input of its last layer."""

import copy
import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.datasets.split import StoredImages
from trainables.inference.classifier import Classifier
from trainables.recipe.evaluation import Evaluation

# N images, B batch, D features, K classes, T tokens, H height, W width


def features_of_stored(classifier: Classifier, images: StoredImages) -> NDArray[np.float32]:
    """Features (N, D) of images as the dataset stores them, each of length 1 (arXiv:2204.06507); one view of
    each.

    They are the input of the layer that gives the classes; of a network without such a layer, its logits.
    """
    recipe = classifier.config.recipe
    one_view = copy.copy(classifier)
    one_view.config = dataclasses.replace(
        classifier.config, recipe=dataclasses.replace(recipe, evaluation=Evaluation())
    )
    layer, taken = _last_layer(classifier.module, len(classifier.config.classes)), list[Tensor]()
    if layer is None:
        return _unit_length(one_view.logits_of_stored(images))
    hook = layer.register_forward_pre_hook(lambda _, inputs: taken.append(_by_image(inputs[0])))
    try:
        one_view.logits_of_stored(images)
    finally:
        hook.remove()
    return _unit_length(torch.cat(taken))


def _last_layer(module: nn.Module, num_classes: int) -> nn.Module | None:
    """The last one that has an output for each class."""
    found = [
        layer
        for layer in module.modules()
        if (isinstance(layer, nn.Linear) and layer.out_features == num_classes)
        or (isinstance(layer, nn.Conv2d) and layer.out_channels == num_classes)
    ]
    return found[-1] if found else None


def _by_image(input_B: Tensor) -> Tensor:
    """(B, D) of (B, D), (B, T, D) or (B, D, H, W)."""
    if input_B.ndim == 4:
        input_B = input_B.mean((2, 3))
    elif input_B.ndim == 3:
        input_B = input_B.mean(1)
    return input_B.detach().float()


def _unit_length(features_ND: Tensor) -> NDArray[np.float32]:
    return nn.functional.normalize(features_ND.float(), dim=1).cpu().numpy()
