"""Trainings that reuse the output of frozen layers come to the same as without, and say what they do."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from epochs import in_parts, timeless

from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import FoldedDataset
from trainables.datasets.node_cache import cached_copies, make_room
from trainables.errors import DatasetError, RecipeError
from trainables.feature_cache import feature_store, gain
from trainables.recipe.augmentation import Augmentation, Mixing
from trainables.recipe.data import Data
from trainables.recipe.evaluation import Evaluation
from trainables.recipe.model import Head, Model
from trainables.recipe.optimizer import Optimizer
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.cross_validation import CrossValidation
from trainables.training.loop import Training

CPU = torch.device("cpu")
MOST = 1e-5
"""By which logits may differ."""
HEAD = Phase(epochs=2, learning_rate=1e-2, freeze_depth=4)
RESNET = Recipe(
    data=Data(image_size=16),
    model=Model(architecture="resnet18", dropout=0.3),
    phases=(HEAD,),
    batch_size=16,
)
CNN = replace(RESNET, model=Model(architecture="cnn4-32x256", dropout=0.3))
CHANGED = Augmentation(strength=0.5, flip_probability=0.5, erase_probability=0.3, rare_class_power=0.5)
VIEWS = replace(CHANGED, fixed_views=3)


def with_model(**fields: object) -> Recipe:
    return replace(RESNET, model=replace(RESNET.model, **fields))


RECIPES = {
    "head alone": RESNET,
    "from layer 4 on": replace(RESNET, phases=(replace(HEAD, freeze_depth=3),)),
    "last blocks": replace(RESNET, phases=(Phase(epochs=2, learning_rate=1e-3, trainable_share=0.2),)),
    "range": replace(CNN, phases=(replace(HEAD, freeze_depth=2, range_end=3),)),
    "head, all, head": replace(
        CNN, phases=(HEAD, Phase(epochs=1, learning_rate=1e-3), replace(HEAD, learning_rate=1e-3))
    ),
    "own network": replace(CNN, phases=(replace(HEAD, freeze_depth=2),)),
    "views": replace(CNN, augmentation=VIEWS, phases=(replace(HEAD, epochs=5),)),
    "views with a margin": replace(CNN, data=Data(image_size=16, crop_margin=4), augmentation=VIEWS),
    "some images": replace(CNN, data=Data(image_size=16, train_images=30, sampler_power=0.5)),
    "parts of a pass": replace(CNN, data=Data(image_size=16, epoch_images=20), augmentation=VIEWS),
    "two views in evaluation": replace(CNN, evaluation=Evaluation(views="flip", dropout_samples=3)),
    "ten crops": replace(
        CNN,
        data=Data(image_size=16, crop_margin=2),
        augmentation=VIEWS,
        evaluation=Evaluation(views="ten_crop"),
    ),
    "average": replace(CNN, optimizer=Optimizer(average_halflife=0.2)),
    "average that moved": replace(
        CNN, optimizer=Optimizer(average_halflife=0.2), phases=(Phase(epochs=1, learning_rate=1e-2), HEAD)
    ),
    "hybrid head": replace(
        with_model(head=Head(kind="hybrid", transformer_widening=1)), phases=(replace(HEAD, epochs=1),)
    ),
    "one norm for all": replace(CNN, model=replace(CNN.model, batch_norm="eval_all")),
    "per image": replace(CNN, data=Data(image_size=16, normalisation="per_image")),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of features of this machine."""
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def dataset(make_dataset: Callable[..., Dataset]) -> Dataset:
    return make_dataset(height=16, width=16, channels=3, num_train=40, num_validation=20)


def begun(recipe: Recipe, dataset: Dataset, *, reuses_features: bool | None = True) -> Training:
    return Training(recipe, dataset, device=CPU, reuses_features=reuses_features)


def assert_equal_to_the_uncached(recipe: Recipe, dataset: Dataset) -> Training:
    """Losses of every epoch, and logits at the end; returns the training that reused features."""
    plain, cached = begun(recipe, dataset, reuses_features=False), begun(recipe, dataset)
    for one, other in zip(plain, cached, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=MOST)
        logits = [training._last_logits_NK for training in (plain, cached)]
        assert (logits[0] - logits[1]).abs().max() < MOST  # type: ignore[operator]
    for key, tensor in plain.weights().items():
        torch.testing.assert_close(cached.weights()[key], tensor, atol=MOST, rtol=MOST, msg=key)
    return cached


@pytest.mark.parametrize("name", RECIPES)
def test_a_whole_training_comes_to_the_same(dataset: Dataset, name: str) -> None:
    cached = assert_equal_to_the_uncached(RECIPES[name], dataset)
    assert cached.feature_use is not None
    assert cached.feature_use.is_of_training, cached.feature_use
    assert cached.feature_use.is_of_validation == (name != "average that moved"), cached.feature_use


@pytest.mark.parametrize("architecture", ["mobilenet_v3_small", "timm/resnet10t"])
def test_networks_of_libraries_are_cut_before_their_last_layer(dataset: Dataset, architecture: str) -> None:
    model = Model(architecture=architecture)
    recipe = replace(RESNET, model=model, data=Data(image_size=32), phases=(replace(HEAD, epochs=1),))
    cached = assert_equal_to_the_uncached(recipe, dataset)
    assert cached.feature_use is not None
    assert cached.feature_use.is_of_training, cached.feature_use


def test_a_gray_image_in_three_colours_is_part_of_what_is_cached(
    make_dataset: Callable[..., Dataset],
) -> None:
    recipe = replace(with_model(gray_adapter="replicate"), phases=(replace(HEAD, epochs=1),))
    cached = assert_equal_to_the_uncached(recipe, make_dataset(height=16, width=16, num_train=20))
    assert cached.feature_use is not None


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (replace(CNN, augmentation=CHANGED), "each epoch changes each image anew; with fixed_views: 8"),
        (replace(CNN, data=Data(image_size=16, crop_margin=2)), "each epoch changes each image anew"),
        (replace(CNN, augmentation=Augmentation(mixing=Mixing(kind="mixup"))), "mixup mixes images before"),
    ],
)
def test_images_that_never_come_back_are_computed_anew_and_those_of_validation_are_not(
    dataset: Dataset, recipe: Recipe, reason: str
) -> None:
    use = assert_equal_to_the_uncached(recipe, dataset).feature_use
    assert use is not None
    assert (use.is_of_training, use.is_of_validation) == (False, True)
    assert reason in use.sentence


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (with_model(batch_norm="train"), "batch_norm: train changes the statistics of frozen layers"),
        (
            with_model(drop_path=0.4, architecture="convnext_tiny"),
            "something before them trains, or drops out",
        ),
        (with_model(head=Head(kind="hybrid", multi_scale=True)), "something before them trains"),
    ],
)
def test_layers_that_do_not_stand_still_are_not_cached(
    dataset: Dataset, cache: Path, recipe: Recipe, reason: str
) -> None:
    recipe = replace(recipe, data=Data(image_size=32), phases=(replace(HEAD, epochs=1),))
    training = begun(recipe, dataset)
    list(training)
    if recipe.model.drop_path:  # its first block is never left out
        assert training.feature_use is not None
        assert "up to features.1.0 are computed once" in training.feature_use.sentence
        return
    assert training.feature_use is not None
    assert reason in training.feature_use.sentence
    assert not cache.exists()


@pytest.mark.slow
def test_it_goes_on_within_an_epoch_bit_for_bit(dataset: Dataset, tmp_path: Path) -> None:
    recipe = replace(CNN, augmentation=VIEWS, phases=(HEAD, replace(HEAD, freeze_depth=2)))
    whole = list(begun(recipe, dataset))
    make_room(0)
    epochs, num_pauses = in_parts(lambda: begun(recipe, dataset), tmp_path / "state", saved_every=2)
    assert timeless(epochs) == timeless(whole)
    assert num_pauses > 4 * 3, "it gives the control back while it makes features, too"


def test_features_are_made_once_for_all_trainings_of_a_machine(dataset: Dataset, cache: Path) -> None:
    first = begun(CNN, dataset)
    list(first)
    assert first.feature_use is not None
    assert "made here in" in first.feature_use.sentence
    files = {file: file.stat().st_mtime_ns for file in cache.rglob("*.arrow")}
    assert len(files) == 2
    second = begun(replace(CNN, optimizer=Optimizer(kind="adam"), batch_size=32), dataset)
    list(second)
    assert second.feature_use is not None
    assert "made by an earlier training on this machine" in second.feature_use.sentence
    assert {file: file.stat().st_mtime_ns for file in cache.rglob("*.arrow")} == files


@pytest.mark.parametrize(
    "other",
    [
        replace(CNN, seed=1),
        replace(CNN, data=Data(image_size=24)),
        replace(CNN, data=Data(image_size=16, normalisation="zero_one")),
        replace(CNN, data=Data(image_size=16, train_images=30)),
        replace(CNN, phases=(replace(HEAD, freeze_depth=3),)),
        replace(CNN, augmentation=VIEWS),
    ],
)
def test_another_network_size_or_selection_has_features_of_its_own(
    dataset: Dataset, cache: Path, other: Recipe
) -> None:
    for recipe in (CNN, other):
        one = replace(recipe, phases=tuple(replace(phase, epochs=1) for phase in recipe.phases))
        assert_equal_to_the_uncached(one, dataset)
    assert len(list(cache.glob("features-*"))) >= 3


def test_other_images_under_the_same_name_have_features_of_their_own(
    make_dataset: Callable[..., Dataset], dataset: Dataset
) -> None:
    list(begun(CNN, dataset))
    turned = replace(dataset.train, images=dataset.train.images[:, ::-1].copy())  # type: ignore[call-overload]
    assert_equal_to_the_uncached(CNN, replace(dataset, train=turned))


def test_folds_reuse_features_too(dataset: Dataset) -> None:
    folded = FoldedDataset.of(dataset, 2)
    plain = list(CrossValidation(CNN, folded, device=CPU, reuses_features=False))
    cached = CrossValidation(CNN, folded, device=CPU, reuses_features=True)
    for one, other in zip(plain, cached, strict=True):
        assert one.metrics.log_loss == pytest.approx(other.metrics.log_loss, abs=MOST)
    assert cached.feature_use is not None
    assert cached.feature_use.is_of_training


def test_dropout_in_the_head_stays_alive(dataset: Dataset) -> None:
    recipes = [replace(CNN, model=replace(CNN.model, dropout=share)) for share in (0.0, 0.9)]
    without, with_dropout = ([epoch.train_loss for epoch in begun(recipe, dataset)] for recipe in recipes)
    assert with_dropout[0] != pytest.approx(without[0], rel=0.01)


def test_views_are_few_and_the_same_for_all_seeds(dataset: Dataset) -> None:
    training = begun(replace(CNN, augmentation=VIEWS, phases=(replace(HEAD, epochs=7),)), dataset)
    other = begun(replace(CNN, augmentation=VIEWS, seed=5), dataset)
    views, images_BCLL = training._step.views, torch.rand(40, 3, 16, 16)
    assert views is not None
    assert other._step.views is not None
    positions = torch.arange(40)
    seen = [views.changed(images_BCLL, positions, views.of_epoch(epoch)) for epoch in range(7)]
    assert [torch.equal(seen[0], one) for one in seen] == [True, False, False, True, False, False, True]
    assert torch.equal(other._step.views.changed(images_BCLL, positions, 0), seen[0])
    shuffled = torch.randperm(40)
    assert torch.equal(views.changed(images_BCLL[shuffled], shuffled, 0), seen[0][shuffled])


def test_small_trainings_leave_the_disk_alone(dataset: Dataset, cache: Path) -> None:
    training = begun(CNN, dataset, reuses_features=None)
    list(training)
    assert not cache.exists()
    assert training.feature_use is not None
    assert "they take too little" in training.feature_use.sentence


def test_it_decides_by_itself_what_pays(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gain, "LEAST_FLOPS", 0)
    told = []
    for views, epochs in ((1, 2), (8, 2), (8, 16), (1, 1)):
        augmentation, phase = replace(VIEWS, fixed_views=views), replace(HEAD, epochs=epochs)
        training = begun(
            replace(CNN, augmentation=augmentation, phases=(phase,)), dataset, reuses_features=None
        )
        next(iter(training))
        use = training.feature_use
        assert use is not None
        told.append((use.is_of_training, use.is_of_validation))
    assert told == [(True, True), (False, True), (True, True), (False, False)]


def test_streamed_images_have_features_too(dataset: Dataset) -> None:
    plain = Training(CNN, dataset, device=CPU, is_streamed=True, reuses_features=False)
    cached = Training(CNN, dataset, device=CPU, is_streamed=True, reuses_features=True)
    for one, other in zip(plain, cached, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=MOST)
        assert one.metrics.log_loss == pytest.approx(other.metrics.log_loss, abs=MOST)
    assert cached.feature_use is not None
    assert cached.feature_use.is_of_training


def test_what_the_machine_has_no_room_for_is_computed_anew(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_CACHE_GB", "0.00001")
    use = assert_equal_to_the_uncached(CNN, dataset).feature_use
    assert use is not None
    assert "STUDY_CACHE_GB leaves no room for that on this machine" in use.sentence
    monkeypatch.setenv("STUDY_CACHE_GB", "1")
    monkeypatch.setattr(feature_store, "SPARE_BYTES", 10**18)
    use = assert_equal_to_the_uncached(CNN, dataset).feature_use
    assert use is not None
    assert "GB left" in use.sentence


def test_a_folder_that_cannot_be_written_costs_no_trial(dataset: Dataset, cache: Path) -> None:
    cache.write_text("a file")
    use = assert_equal_to_the_uncached(CNN, dataset).feature_use
    assert use is not None
    assert "their output cannot be kept" in use.sentence


def test_the_least_recently_used_features_go(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = [replace(CNN, seed=seed) for seed in range(3)]
    list(begun(recipes[0], dataset))
    (*kept,) = cached_copies()
    taken = sum(copy.num_bytes for copy in kept)
    assert all(copy.name.startswith("features cnn4-32x256-pooling (") for copy in kept)
    monkeypatch.setenv("STUDY_CACHE_GB", str(1.5 * taken / 1e9))
    for recipe in recipes[1:]:
        assert_equal_to_the_uncached(recipe, dataset)
        assert sum(copy.num_bytes for copy in cached_copies()) <= 1.5 * taken
    gone = begun(recipes[0], dataset)
    list(gone)
    assert gone.feature_use is not None
    assert "made here" in gone.feature_use.sentence


def test_features_in_use_stay(dataset: Dataset) -> None:
    training = begun(replace(CNN, phases=(replace(HEAD, epochs=3),)), dataset)
    next(iter(training))
    assert make_room(0) == 0
    list(training)
    del training
    assert make_room(0) > 0


@pytest.mark.parametrize("damage", [b"", b"ARROW1 and nothing else"])
def test_a_damaged_file_is_made_anew(dataset: Dataset, cache: Path, damage: bytes) -> None:
    list(begun(CNN, dataset))
    for file in cache.rglob("*.arrow"):
        file.write_bytes(damage)
    use = assert_equal_to_the_uncached(CNN, dataset).feature_use
    assert use is not None
    assert "made here" in use.sentence


@pytest.mark.parametrize("views", [0, 65])
def test_a_number_of_views_out_of_range_is_refused(views: int) -> None:
    with pytest.raises(RecipeError, match=rf"fixed_views must lie in \[1, 64\], got {views}"):
        Augmentation(fixed_views=views)


def test_views_of_changes_that_cannot_be_repeated_are_refused() -> None:
    with pytest.raises(
        RecipeError, match="fixed_views needs augmentation_policy affine, got 8 with 'trivial'"
    ):
        Augmentation(policy="trivial", fixed_views=8)
    with pytest.raises(
        RecipeError, match=r"fixed_views and smallest_crop exclude each other.*got 8 and 0\.5"
    ):
        replace(CNN, augmentation=Augmentation(fixed_views=8), data=Data(image_size=16, smallest_crop=0.5))


def test_a_limit_that_is_no_number_is_told(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_CACHE_GB", "much")
    with pytest.raises(DatasetError, match=r"STUDY_CACHE_GB is how much .* got 'much'"):
        begun(CNN, dataset).advance(math.inf)
