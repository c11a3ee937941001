"""Every named recipe builds, trains two steps, saves, loads and predicts, on gray and colour images of an odd
size.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search_spaces.named import named_recipes
from search_spaces.named_recipe import NamedRecipe
from study.recipes.point import build_recipe
from trainables.datasets.dataset import Dataset
from trainables.datasets.manifest import SplitSummary
from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.models.building import build_model
from trainables.training.loop import Training

SIDE = 45
RECIPES = [pytest.param(recipe, id=name) for name, recipe in named_recipes().items()]
EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def quick_first() -> list[object]:
    """All recipes; of those of one architecture only the first is quick."""
    seen, found = set(), []
    for name, recipe in named_recipes().items():
        architecture = recipe.point.get("architecture")
        found.append(pytest.param(recipe, id=name, marks=[pytest.mark.slow] if architecture in seen else []))
        seen.add(architecture)
    return found


@pytest.mark.parametrize("recipe", quick_first())
@pytest.mark.parametrize("channels", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_recipe_trains_saves_loads_and_predicts(
    recipe: NamedRecipe, channels: int, make_dataset: object, tmp_path: Path
) -> None:
    dataset = _emotions(
        make_dataset(height=SIDE, width=SIDE, channels=channels, num_train=6, num_validation=3)
    )  # type: ignore[operator]
    point = {
        **recipe.point,
        "weights": "none",
        "image_size": SIDE,
        "crop_margin": 2 if "crop_margin" in recipe.point else 0,
        "batch_size": 3,
    }
    point = {
        name: value
        for name, value in point.items()
        if name != "fine_tuning" or recipe.point["weights"] != "none"
    }
    trained = build_recipe(point, dataset=dataset.manifest, epochs=1, seed=0)
    training = Training(trained, dataset)
    (epoch,) = training
    assert epoch.number == 1
    assert np.isfinite(epoch.train_loss)
    training.save(tmp_path)
    again = Training(trained, dataset)
    again.load(tmp_path)
    images = dataset.validation.images
    assert np.array_equal(again.predict(images), training.predict(images))
    classifier = Classifier(ClassifierConfig.of(trained, dataset.manifest), training.weights())
    assert np.allclose(classifier.probabilities_of_stored(images), training.predict(images), atol=1e-5)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_has_the_parameters_that_it_says(recipe: NamedRecipe, make_dataset: object) -> None:
    num_classes = {"fer2013": 7, "fashion-mnist": 10}.get(
        recipe.dataset.name, 3 if "fashion3" in recipe.dataset.name else 10
    )
    dataset = _emotions(make_dataset(num_train=6, num_validation=3))  # type: ignore[operator]
    point = {name: value for name, value in recipe.point.items() if not name.startswith("class_weight.")}
    trained = build_recipe(
        {**point, "weights": "none"}, dataset=dataset.manifest, epochs=recipe.epochs, seed=0
    )
    with torch.device("meta"):
        network = build_model(
            trained.model,
            num_classes=num_classes,
            channels=1,
            image_size=trained.data.image_size,
            seed=0,
            normalisation=trained.data.normalisation,
        )
    assert sum(parameter.numel() for parameter in network.module.parameters()) == recipe.parameters


def _emotions(dataset: Dataset) -> Dataset:
    """The same images under FER2013's class names, of which the recipes' weights and branches speak."""
    counts = SplitSummary(num_images=len(dataset.train), num_by_class=(1,) * 7, digest="", origin="given")
    manifest = replace(dataset.manifest, classes=EMOTIONS, splits={"train": counts})
    return replace(dataset, manifest=manifest)
