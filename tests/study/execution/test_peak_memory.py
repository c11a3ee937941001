"""Which configurations are measured: the largest images and batches of each architecture."""

from dataclasses import replace

from search_spaces.dimensions import Choice
from search_spaces.space import SearchSpace
from study.execution.peak_memory import (
    MOST_ARCHITECTURES,
    configuration_text,
    heaviest_phase,
    heaviest_recipes,
)
from study.home import Home
from study.planning.plan import Plan, plan_study
from study.study_file.study_spec import StudySpec

DIGITS = {"study": "s", "dataset": "digits", "budget": {"trials": 3, "epochs": 4}}


def plan(home: Home, **changes: object) -> Plan:
    return plan_study(StudySpec.parse({**DIGITS, **changes}), home)


def test_each_architecture_comes_at_its_largest(home: Home) -> None:
    recipes = heaviest_recipes(
        plan(home, search_space="everything", narrow={"architecture": ["resnet18", "resnet50"]})
    )
    assert [configuration_text(recipe) for recipe in recipes] == [
        "resnet50 at 224 px with batch 2048",
        "resnet18 at 224 px with batch 2048",
    ]
    for recipe in recipes:
        assert heaviest_phase(recipe).freeze_depth == 0
        assert recipe.data.crop_margin == 16


def test_what_is_always_frozen_is_frozen(home: Home) -> None:
    fixed = {"architecture": "resnet18", "weights": "imagenet", "fine_tuning": "suffix", "freeze_depth": 3}
    (recipe,) = heaviest_recipes(plan(home, search_space="fine_tuning", fix=fixed))
    assert heaviest_phase(recipe).freeze_depth == 3


def test_a_phase_that_trains_all_is_heavier_than_the_head_alone(home: Home) -> None:
    fixed = {"architecture": "resnet18", "weights": "imagenet", "fine_tuning": "lp_ft"}
    (recipe,) = heaviest_recipes(plan(home, search_space="fine_tuning", fix=fixed))
    assert [phase.freeze_depth for phase in recipe.phases] == [4, 0]
    assert heaviest_phase(recipe) is recipe.phases[1]


def test_a_start_point_may_be_the_largest(home: Home) -> None:
    (recipe,) = heaviest_recipes(plan(home, search_space="digits", start_from=[{"batch_size": 128}]))
    assert configuration_text(recipe) == "cnn2-32x64 at 8 px with batch 128"


def test_of_many_architectures_the_costliest(home: Home) -> None:
    of_timm = [f"timm/resnet{size}" for size in (18, 26, 34, 50, 101, 152, 200)]
    names = ("cnn2-32x64", "cnn4-32x64", "vgg8-64x512", "resnet18", "resnet34", "resnet50", *of_timm)
    many = Choice(name="architecture", options=names)
    space = SearchSpace(name="many", about="", dimensions=(many, Choice(name="image_size", options=(32, 64))))
    recipes = heaviest_recipes(replace(plan(home, search_space="digits"), space=space))
    assert len(names) > MOST_ARCHITECTURES == len(recipes)
    assert all(recipe.model.architecture.startswith("timm/") for recipe in recipes[:7])
    assert recipes[7].model.architecture in ("resnet50", "vgg8-64x512")
    assert "cnn2-32x64" not in [recipe.model.architecture for recipe in recipes]
