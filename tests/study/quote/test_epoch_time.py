"""Seconds of epochs follow from measured steps."""

from dataclasses import replace

import pytest
from quoting import plan, steps_of

from study.home import Home
from study.planning.plan import Plan
from study.quote.case import Case
from study.quote.epoch_time import SECONDS_BESIDE_AN_EPOCH, EpochTime, wanted_recipes
from study.quote.step_times import MeasuredStep
from trainables.recipe.tree import Recipe
from trainables.training.probe_result import FrozenTime

WIDE = {
    "search_space": "fine_tuning",
    "fix": {"weights": "none"},
    "budget": {"trials": 4, "epochs": 10},
}


def recipe(made: Plan, **values: object) -> Recipe:
    return made.recipe({**Case.of(made).drawn[0].point, **values})  # type: ignore[dict-item]


def test_an_epoch_takes_what_its_images_take(home: Home) -> None:
    made = plan(home)
    found = EpochTime(made, steps_of(made, seconds_an_image=1e-2))
    num_train, num_validated = made.manifest.splits["train"].num_images, made.num_validated
    one = recipe(made, batch_size=64)
    assert found.seconds(one) == pytest.approx(1e-2 * (num_train + num_validated / 3), rel=0.1)
    part = recipe(plan(home, fix={"train_images": 100}), batch_size=64)
    assert found.seconds(part) < 0.4 * found.seconds(one)
    ten = replace(one, evaluation=replace(one.evaluation, views="flip", dropout_samples=5))
    assert found.seconds(ten) > 1.8 * found.seconds(one), "validation sees each image ten times"


def test_a_step_that_costs_something_by_itself_makes_small_batches_slow(home: Home) -> None:
    made = plan(home)
    steps = [
        MeasuredStep(
            architecture="cnn2-32x64",
            image_size=8,
            batch_size=batch,
            num_images=batch,
            seconds=0.1 + batch * 1e-4,
            evaluation_seconds=1e-5,
        )
        for batch in (32, 128)
    ]
    found = EpochTime(made, tuple(steps))
    small, middle, large = (found.seconds(recipe(made, batch_size=batch)) for batch in (32, 64, 128))
    assert small == pytest.approx(34 * 0.1032, rel=0.08)
    assert middle == pytest.approx(17 * 0.1064, rel=0.08), "a batch that was not measured lies between"
    assert large == pytest.approx(9 * 0.1128, rel=0.08)


def test_what_is_frozen_needs_no_backward_pass(home: Home) -> None:
    made = plan(home, **WIDE)
    found = EpochTime(made, steps_of(made))
    base = {"architecture": "resnet18", "image_size": 48, "fine_tuning": "suffix"}
    seconds = [
        found.seconds(made.recipe({**base, "freeze_depth": depth, "batch_size": 32})) for depth in (0, 2, 4)
    ]
    assert seconds[0] > seconds[1] > seconds[2] > 0.25 * seconds[0]


FROZEN = {"architecture": "resnet18", "image_size": 48, "fine_tuning": "suffix", "batch_size": 32}


def behind_frozen_stages(made: Plan, num_bytes: int = 1000) -> EpochTime:
    """A step of an image takes 1 ms and its forward pass a third; each frozen stage saves a fifth."""
    step = MeasuredStep(
        architecture="resnet18",
        image_size=48,
        batch_size=32,
        num_images=32,
        seconds=0.032,
        evaluation_seconds=1e-3 / 3,
        frozen=tuple(
            FrozenTime(
                freeze_depth=depth,
                seconds=0.032 * (1 - depth / 5),
                evaluation_seconds=1e-3 / 3 * (1 - depth / 5),
                flops=10**8,
                num_bytes=num_bytes,
            )
            for depth in (1, 2, 3, 4)
        ),
    )
    return EpochTime(made, (step,))


def test_an_epoch_whose_frozen_layers_are_kept_takes_what_comes_behind_them(home: Home) -> None:
    made = plan(home, **WIDE)
    found = behind_frozen_stages(made)
    whole, kept = (
        found.seconds(made.recipe({**FROZEN, "freeze_depth": depth, "augmentation_strength": 0.0}))
        for depth in (0, 4)
    )
    assert kept - SECONDS_BESIDE_AN_EPOCH == pytest.approx((whole - SECONDS_BESIDE_AN_EPOCH) / 5, rel=0.1)


def test_images_that_change_at_each_epoch_go_through_frozen_layers_each_time(home: Home) -> None:
    made = plan(home, **WIDE)
    found = behind_frozen_stages(made)
    changed, kept = (
        found.seconds(made.recipe({**FROZEN, "freeze_depth": 4, "augmentation_strength": strength}))
        for strength in (1.0, 0.0)
    )
    num_train = made.manifest.splits["train"].num_images
    assert changed - kept == pytest.approx(num_train * 1e-3 / 3 * 4 / 5, rel=0.1)


def test_output_that_is_large_beside_its_work_is_not_kept(home: Home) -> None:
    made = plan(home, **WIDE)
    point = {**FROZEN, "freeze_depth": 4, "augmentation_strength": 0.0}
    seconds = [
        behind_frozen_stages(made, num_bytes).seconds(made.recipe(point)) for num_bytes in (1_000, 10**8)
    ]
    assert seconds[1] > 2 * seconds[0]


def test_the_first_trial_computes_frozen_layers_for_all_that_share_them(home: Home) -> None:
    made = plan(home, search_space="fine_tuning", budget=WIDE["budget"])
    found = behind_frozen_stages(made)
    point = {**FROZEN, "weights": "imagenet", "freeze_depth": 4, "augmentation_strength": 0.0}
    one, slower, deeper = (
        found.shared_seconds(made.recipe({**point, **changes}))
        for changes in ({}, {"learning_rate": 1e-5}, {"freeze_depth": 3})
    )
    assert one == slower, "features do not depend on the learning rate"
    assert one.keys().isdisjoint(deeper)
    num_images = made.manifest.splits["train"].num_images + made.num_validated
    assert list(one.values()) == [pytest.approx(num_images * 1e-3 / 3 * 4 / 5, rel=0.01)]


def test_what_was_not_measured_is_inferred_from_what_is_most_like_it(home: Home) -> None:
    made = plan(home, **WIDE)
    known = [step for step in steps_of(made) if step.architecture == "resnet18" and step.image_size == 96]
    found = EpochTime(made, tuple(known))
    base = {"fine_tuning": "full", "batch_size": 32}
    measured, larger, deeper = (
        made.recipe({**base, "architecture": architecture, "image_size": size})
        for architecture, size in (("resnet18", 96), ("resnet18", 224), ("resnet50", 96))
    )
    assert found.is_measured(measured)
    assert not found.is_measured(larger)
    assert found.seconds(larger) / found.seconds(measured) == pytest.approx((224 / 96) ** 2, rel=0.25)
    assert 1.5 < found.seconds(deeper) / found.seconds(measured) < 4


def test_every_architecture_is_asked_for_before_any_a_second_time(home: Home) -> None:
    wanted = wanted_recipes(Case.of(plan(home, **WIDE)).drawn)
    names = [one.model.architecture for one in wanted]
    num = len(set(names))
    assert num == 7
    assert len(set(names[:num])) == num
    keys = [(one.model.architecture, one.data.image_size, one.batch_size) for one in wanted]
    assert len(set(keys)) == len(keys)
