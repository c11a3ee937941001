"""A frozen network says what the network says."""

import numpy as np
import pytest
import torch

from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.inference.ensemble import Ensemble
from trainables.inference.frozen import FrozenNetwork, frozen
from trainables.models.building import build_model
from trainables.recipe.tree import Recipe
from trainables.transforms.preprocessing import Preprocessing


def classifier_of(architecture: str, dropout: float = 0.0, **evaluation: object) -> Classifier:
    """With random weights, and statistics of BatchNorm that are not those of the start."""
    recipe = Recipe.from_dict(
        {
            "data": {"image_size": 32},
            "model": {"architecture": architecture, "dropout": dropout},
            "phases": [{"epochs": 1, "learning_rate": 0.01}],
            "evaluation": evaluation,
        }
    )
    pixels = Preprocessing(
        height=32, width=32, channels=3, image_size=32, pixel_mean=(0.5,) * 3, pixel_std=(0.2,) * 3
    )
    config = ClassifierConfig(
        recipe=recipe,
        classes=("a", "b", "c"),
        preprocessing=pixels,
        permute_seed=None,
        dataset="made",
        dataset_digest="0",
    )
    network = build_model(recipe.model, num_classes=3, channels=3, image_size=32, seed=1)
    draw = torch.Generator().manual_seed(0)
    for layer in network.module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert layer.running_mean is not None
            layer.running_mean.copy_(torch.randn(layer.running_mean.shape, generator=draw) / 10)
    return Classifier(config, network.module.state_dict(), device=torch.device("cpu"))


@pytest.mark.parametrize("architecture", ["cnn4-32x256", "resnet18"])
@pytest.mark.parametrize("views", ["one", "flip"])
def test_probabilities_are_those_of_the_network(architecture: str, views: str) -> None:
    classifier = classifier_of(architecture, views=views)
    quick = frozen(classifier)
    assert isinstance(quick, Classifier)
    assert isinstance(quick.module, FrozenNetwork)
    draw = np.random.default_rng(0)
    for num_images in (1, 2, 7, 33):
        images = draw.integers(0, 256, (num_images, 32, 32, 3), dtype=np.uint8)
        expected = classifier.probabilities_of_stored(images)
        for _ in range(3):
            assert quick.probabilities_of_stored(images) == pytest.approx(expected, abs=1e-5)


def test_members_of_an_ensemble_are_frozen_and_dropout_is_not() -> None:
    ensemble = frozen(Ensemble([classifier_of("cnn4-32x256")]))
    assert isinstance(ensemble, Ensemble)
    assert isinstance(ensemble.members[0].module, FrozenNetwork)
    random = classifier_of("cnn4-32x256", 0.5, dropout_samples=3)
    assert frozen(random) is random
