import subprocess
import sys
from typing import Any

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from trainables.errors import RecipeError
from trainables.models.building import build_model
from trainables.models.catalogue import architecture_names, check_branches, check_recipe, find_architecture
from trainables.models.timm_names import timm_names
from trainables.recipe.data import Data
from trainables.recipe.model import Head, Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe


def recipe(
    architecture: str,
    *,
    image_size: int = 48,
    freeze_depth: int = 0,
    range_end: int | None = None,
    **model: Any,
) -> Recipe:
    phase = Phase(epochs=1, learning_rate=1e-3, freeze_depth=freeze_depth, range_end=range_end)
    return Recipe(
        data=Data(image_size=image_size), model=Model(architecture=architecture, **model), phases=(phase,)
    )


def test_the_names_of_timm_are_those_that_timm_lists():
    assert timm_names() == set(timm.list_models())


def test_a_study_is_checked_without_importing_torch():
    program = (
        "import sys; from trainables.models.catalogue import find_architecture; "
        "find_architecture('timm/resnet18'); "
        "from trainables.metrics.classification import METRICS; from trainables.models.pretrained_files "
        "import ensure_weights; "
        "print([name for name in ('torch', 'torchvision', 'timm') if name in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


@pytest.mark.parametrize("name", [*architecture_names(), "timm/resnet18", "timm/resnet18.a1_in1k"])
def test_architectures_are_found_by_name(name):
    assert find_architecture(name).name == name


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("resnet81", "resnet18"),
        ("cnn4-32x265", "cnn4-32x256"),
        ("timm/convnext_ato", "timm/convnext_atto"),
        ("convnext_atto", "timm/convnext_atto"),
    ],
)
def test_an_unknown_name_is_answered_with_a_guess(name, guess):
    with pytest.raises(
        RecipeError, match=rf"unknown architecture '{name}'; known: cnn2-32x64, .*did you mean '{guess}'\?"
    ):
        find_architecture(name)


@pytest.mark.parametrize("name", architecture_names())
@pytest.mark.parametrize(("image_size", "channels"), [(33, 1), (48, 3), (75, 1), (224, 3)])
def test_multiply_adds_are_those_that_torch_counts(name, image_size, channels):
    with torch.device("meta"):  # shapes without values: nothing is computed
        network = build_model(
            Model(architecture=name), num_classes=7, channels=channels, image_size=image_size, seed=0
        )
        with FlopCounterMode(display=False) as counter:
            network.module.eval()(torch.zeros(1, channels, image_size, image_size))
    assert find_architecture(name).multiply_adds(image_size, channels) == pytest.approx(
        counter.get_total_flops() / 2, rel=0.01
    )


def test_multiply_adds_of_timm_are_unknown():
    assert find_architecture("timm/resnet18").multiply_adds(224) is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            recipe("resnet18", freeze_depth=5),
            r"freeze_depth of resnet18 must lie in \[0, 4\].*got 5 in phase 1",
        ),
        (recipe("cnn4-32x256", image_size=15), "cnn4-32x256 needs image_size >= 16, got 15"),
        (
            recipe("cnn4-64x512", weights="imagenet"),
            "cnn4-64x512 has no weights 'imagenet'.*or efficientnet_b3, .*resnet50",
        ),
        (recipe("resnet18-3x3", weights="imagenet"), "resnet18-3x3 has no weights 'imagenet'"),
        (recipe("resnet18", range_end=5), r"range_end of resnet18 must lie in \[1, 4\].*got 5 in phase 1"),
        (
            recipe("vgg8-64x512", head=Head(kind="hybrid")),
            "head of vgg8-64x512 must be 'linear', .*got 'hybrid'",
        ),
        (recipe("cnn4-32x64", head=Head(kind="mlp")), "head of cnn4-32x64 must be 'linear', .*got 'mlp'"),
        (
            recipe("cnn2-32x64", gray_adapter="learned"),
            "gray_adapter of cnn2-32x64 must be 'sum', .*got 'learned'",
        ),
        (recipe("cnn2-32x64", drop_path=0.1), "drop_path of cnn2-32x64 must be 0, .*got 0.1"),
        (recipe("mobilenet_v3_small", drop_path=0.1), "drop_path of mobilenet_v3_small must be 0"),
    ],
)
def test_what_an_architecture_cannot_do_is_refused(wrong, message):
    with pytest.raises(RecipeError, match=message):
        check_recipe(wrong)


def test_what_an_architecture_can_do_is_let_through():
    hybrid = Head(kind="hybrid", branches=("angry", "sad"), multi_scale=True)
    check_recipe(
        recipe(
            "resnet50", freeze_depth=2, range_end=4, head=hybrid, gray_adapter="convolution", drop_path=0.1
        )
    )
    check_recipe(recipe("timm/vit_tiny_patch16_224", drop_path=0.1))  # only building it tells


def test_a_branch_must_be_named_after_a_class_of_the_dataset():
    head = Head(kind="hybrid", branches=("angry", "surprise"))
    check_branches(head, ("angry", "sad", "surprise"))
    with pytest.raises(
        RecipeError,
        match=(
            "must name classes of the dataset, got 'surprise'; its classes: angry, surprised; did you mean "
            r"'surprised'\?"
        ),
    ):
        check_branches(head, ("angry", "surprised"))


@pytest.mark.parametrize("name", [name for name in architecture_names() if name != "vgg8-64x512"])
def test_the_smallest_image_size_works(name):
    smallest = find_architecture(name).smallest_image_size
    network = build_model(Model(architecture=name), num_classes=7, channels=1, image_size=smallest, seed=0)
    assert network.module(torch.zeros(2, 1, smallest, smallest)).shape == (2, 7)
