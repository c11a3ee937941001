import dataclasses
import json
import math
import random
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from epochs import in_parts, timeless
from sklearn.datasets import load_digits

from trainables.datasets.dataset import Dataset
from trainables.datasets.split import Split
from trainables.errors import DivergedError, RecipeError
from trainables.recipe.augmentation import Augmentation
from trainables.recipe.data import Data
from trainables.recipe.loss import Loss
from trainables.recipe.model import Model
from trainables.recipe.optimizer import Optimizer
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.epoch import Epoch
from trainables.training.loop import Training
from trainables.training.stopwatch import SPANS

CPU = torch.device("cpu")
RECIPE = Recipe(
    data=Data(image_size=8),
    model=Model(architecture="cnn2-32x64", dropout=0.3),
    phases=(
        Phase(epochs=2, learning_rate=1e-3, freeze_depth=1, warmup_fraction=0.2),
        Phase(epochs=2, learning_rate=2e-3, schedule="step", step_epochs=1),
    ),
    optimizer=Optimizer(weight_decay=0.01),
    loss=Loss(label_smoothing=0.1, class_weight_power=0.5),
    augmentation=Augmentation(strength=0.3, flip_probability=0.5),
    batch_size=16,
)


def changed(recipe: Recipe, **parts) -> Recipe:
    return dataclasses.replace(recipe, **parts)


def test_learns_a_simple_problem(make_dataset):
    recipe = changed(RECIPE, augmentation=Augmentation(), phases=(Phase(epochs=6, learning_rate=3e-3),))
    *_, last = Training(recipe, make_dataset(), device=CPU)
    assert last.metrics.accuracy > 0.9
    assert last.metrics.num_images == 30


def test_the_smallest_network_reads_handwritten_digits(make_dataset):
    digits = load_digits()
    images_NHWC = (digits.images[..., None] * 255 / 16).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(images_NHWC))
    train, validation = (
        Split(images=images_NHWC[part], labels=digits.target[part].astype(np.int64))
        for part in (order[:1400], order[1400:])
    )
    manifest = dataclasses.replace(make_dataset().manifest, classes=tuple("0123456789"))
    recipe = Recipe(
        data=Data(image_size=8),
        model=Model(architecture="cnn2-32x64", dropout=0.2),
        phases=(Phase(epochs=8, learning_rate=3e-3),),
    )
    *_, last = Training(recipe, Dataset(manifest=manifest, train=train, validation=validation), device=CPU)
    assert last.metrics.accuracy > 0.98


def test_epochs_are_numbered_and_know_their_phase_and_learning_rate(make_dataset):
    epochs = list(Training(RECIPE, make_dataset(), device=CPU))
    assert [(epoch.number, epoch.phase) for epoch in epochs] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert [epoch.learning_rate for epoch in epochs[2:]] == [pytest.approx(2e-3), pytest.approx(2e-4)]


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize(
    "num_before", [1, 2, 3], ids=["within a phase", "between phases", "within the second phase"]
)
def test_continues_bit_for_bit_after_load(make_dataset, tmp_path: Path, num_before: int, kind):
    recipe = changed(RECIPE, optimizer=Optimizer(kind=kind, weight_decay=0.01))
    whole = Training(recipe, make_dataset(), device=CPU)
    expected = list(whole)
    interrupted = Training(recipe, make_dataset(), device=CPU)
    for epoch in interrupted:
        if epoch.number == num_before:
            interrupted.save(tmp_path)
            break
    resumed = Training(recipe, make_dataset(), device=CPU)
    resumed.load(tmp_path)
    assert timeless(list(resumed)) == timeless(expected[num_before:])
    assert all(torch.equal(tensor, resumed.weights()[key]) for key, tensor in whole.weights().items())
    assert [path.name for path in tmp_path.iterdir()] == ["training.pt"]


def test_within_epochs_too_it_continues_bit_for_bit(make_dataset, tmp_path):
    """Dropout, schedules, phases, averages and the epoch's own loss go on where they were."""
    recipe = changed(RECIPE, optimizer=Optimizer(weight_decay=0.01, average_halflife=0.1))
    dataset = make_dataset(num_train=80)
    whole = list(Training(recipe, dataset, device=CPU))
    epochs, num_pauses = in_parts(lambda: Training(recipe, dataset, device=CPU), tmp_path, saved_every=2)
    assert num_pauses == 4 * (80 // 16 - 1), "each step but an epoch's last gave the control back"
    assert timeless(epochs) == timeless(whole)


def test_every_moment_of_an_epoch_went_into_something(make_dataset, tmp_path):
    training = Training(RECIPE, make_dataset(), device=CPU)
    for _ in range(2):
        begun = time.perf_counter()
        epoch = training.advance(math.inf)
        assert epoch is not None
        assert set(epoch.spans) >= {"data", "augmentation", "forward", "backward", "optimizer", "validation"}
        assert set(epoch.spans) <= set(SPANS)
        assert sum(epoch.spans.values()) <= time.perf_counter() - begun
        assert sum(epoch.spans.values()) > 0.99 * (epoch.train_seconds + epoch.validation_seconds)
        assert epoch.spans["validation"] >= epoch.validation_seconds
    assert Epoch.from_dict(json.loads(json.dumps(epoch.to_dict()))) == epoch
    assert training.advance(0.0) is None
    training.save(tmp_path)
    before = dict(training._stopwatch.seconds)
    assert before["backward"] > 0
    resumed = Training(RECIPE, make_dataset(), device=CPU)
    resumed.load(tmp_path)
    after = resumed.advance(math.inf)
    assert after is not None
    assert after.spans["backward"] > before["backward"], "what an earlier process did of it counts"


def test_one_pass_may_take_several_epochs(make_dataset):
    """Each image comes once in a pass, and the epochs of two passes that share one go on from one to the
    other.
    """
    dataset = make_dataset(num_train=80)
    data = dataclasses.replace(RECIPE.data, epoch_images=32)
    images = Training(changed(RECIPE, data=data), dataset, device=CPU)._images
    assert images.num_per_epoch == 32
    seen = torch.cat([batch.images_BHWC for epoch in range(5) for batch in images.batches(epoch)])
    whole = Training(RECIPE, dataset, device=CPU)._images
    passes = [batch.images_BHWC for epoch in range(2) for batch in whole.batches(epoch)]
    assert torch.equal(seen, torch.cat(passes))


def test_an_epoch_is_a_whole_pass_at_most(make_dataset):
    data = dataclasses.replace(RECIPE.data, epoch_images=1000)
    epochs = list(Training(changed(RECIPE, data=data), make_dataset(), device=CPU))
    assert timeless(epochs) == timeless(list(Training(RECIPE, make_dataset(), device=CPU)))


def test_what_waits_to_be_written_stays_as_it_was(make_dataset, tmp_path):
    dataset = make_dataset()
    training = Training(RECIPE, dataset, device=CPU)
    training.advance(math.inf)
    assert training.advance(0.0) is None
    waiting = training.state.copied()
    rest = list(training)
    waiting.write(tmp_path)
    resumed = Training(RECIPE, dataset, device=CPU)
    resumed.load(tmp_path)
    assert timeless(list(resumed)) == timeless(rest)


def test_a_finished_training_loads_as_finished(make_dataset, tmp_path):
    training = Training(RECIPE, make_dataset(), device=CPU)
    list(training)
    training.save(tmp_path)
    again = Training(RECIPE, make_dataset(), device=CPU)
    again.load(tmp_path)
    assert list(again) == []
    assert again.num_epochs_done == 4


def test_another_recipes_state_is_refused(make_dataset, tmp_path):
    Training(RECIPE, make_dataset(), device=CPU).save(tmp_path)
    with pytest.raises(RecipeError, match="holds another"):
        Training(changed(RECIPE, seed=1), make_dataset(), device=CPU).load(tmp_path)


def test_random_generators_of_the_process_neither_matter_nor_change(make_dataset):
    torch.manual_seed(1)
    expected = timeless(list(Training(RECIPE, make_dataset(), device=CPU)))
    torch.manual_seed(2)
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()
    assert timeless(list(Training(RECIPE, make_dataset(), device=CPU))) == expected
    after = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_another_seed_is_another_training(make_dataset):
    one, other = (
        next(iter(Training(changed(RECIPE, seed=seed), make_dataset(), device=CPU))) for seed in (0, 1)
    )
    assert one.train_loss != other.train_loss


def test_frozen_stages_do_not_change(make_dataset):
    recipe = changed(
        RECIPE,
        optimizer=Optimizer(kind="sgd", weight_decay=0.1),
        phases=(Phase(epochs=2, learning_rate=0.05, freeze_depth=1),),
    )
    training = Training(recipe, make_dataset(), device=CPU)
    before = training.weights()
    list(training)
    for key, tensor in training.weights().items():
        is_frozen = key.startswith("blocks.0.")
        assert torch.equal(tensor, before[key]) == is_frozen, key


@pytest.mark.parametrize(
    ("batch_norm", "moved"),
    [("train", {"blocks.0", "blocks.1"}), ("eval_frozen", {"blocks.1"}), ("eval_all", set())],
)
def test_batch_norm_statistics_move_as_the_recipe_says(make_dataset, batch_norm, moved):
    model = dataclasses.replace(RECIPE.model, batch_norm=batch_norm)
    training = Training(
        changed(RECIPE, model=model, phases=(Phase(epochs=1, learning_rate=1e-3, freeze_depth=1),)),
        make_dataset(),
        device=CPU,
    )
    before = training.weights()
    list(training)
    after = training.weights()
    assert {
        key[:8] for key in after if "running_" in key and not torch.equal(after[key], before[key])
    } == moved


def test_biases_and_batch_norm_are_not_decayed(make_dataset):
    recipe = changed(RECIPE, phases=(Phase(epochs=1, learning_rate=1e-12, schedule="constant"),))
    strong = changed(
        recipe,
        optimizer=Optimizer(kind="adamw", weight_decay=10.0),
        phases=(Phase(epochs=1, learning_rate=0.01),),
    )
    weak = changed(strong, optimizer=Optimizer(kind="adamw", weight_decay=0.0))
    decayed, free = Training(strong, make_dataset(), device=CPU), Training(weak, make_dataset(), device=CPU)
    list(decayed), list(free)
    ratio = {
        key: (decayed.weights()[key].norm() / free.weights()[key].norm()).item()
        for key in ("head.0.weight", "blocks.0.1.weight")
    }
    assert ratio["head.0.weight"] < 0.9
    assert ratio["blocks.0.1.weight"] == pytest.approx(1.0, abs=0.05)


def test_divergence_is_told_with_epoch_and_learning_rate(make_dataset):
    recipe = changed(
        RECIPE,
        optimizer=Optimizer(kind="sgd"),
        phases=(Phase(epochs=9, learning_rate=1e30, schedule="constant"),),
    )
    with pytest.raises(
        DivergedError, match=r"loss became nan in epoch 1 at learning rate 1e\+30; lower learning_rate"
    ):
        list(Training(recipe, make_dataset(), device=CPU))


def test_a_last_batch_of_one_image_is_left_out(make_dataset):
    assert next(iter(Training(RECIPE, make_dataset(num_train=49), device=CPU))).num_train_images == 48
    assert next(iter(Training(RECIPE, make_dataset(num_train=50), device=CPU))).num_train_images == 50


@pytest.mark.parametrize(("height", "width", "channels"), [(8, 8, 3), (20, 12, 3), (4, 4, 1), (6, 12, 1)])
def test_images_of_any_size_and_colour_train(make_dataset, height, width, channels):
    dataset = make_dataset(height=height, width=width, channels=channels)
    training = Training(changed(RECIPE, phases=(Phase(epochs=1, learning_rate=1e-3),)), dataset, device=CPU)
    (epoch,) = training
    probabilities_NK = training.predict(dataset.validation.images)
    assert probabilities_NK.shape == (30, 3)
    assert probabilities_NK.dtype == np.float32
    np.testing.assert_allclose(probabilities_NK.sum(1), 1, rtol=1e-5)
    assert epoch.metrics.accuracy == pytest.approx(
        np.mean(probabilities_NK.argmax(1) == dataset.validation.labels)
    )


def test_weights_are_a_copy(make_dataset):
    training = Training(RECIPE, make_dataset(), device=CPU)
    iterator = iter(training)
    next(iterator)
    kept = training.weights()
    copies = {key: tensor.clone() for key, tensor in kept.items()}
    next(iterator)
    assert all(torch.equal(tensor, copies[key]) for key, tensor in kept.items())


def test_a_freeze_depth_beyond_the_stages_is_refused(make_dataset):
    recipe = changed(RECIPE, phases=(Phase(epochs=1, learning_rate=1e-3, freeze_depth=3),))
    with pytest.raises(
        RecipeError, match=r"freeze_depth of cnn2-32x64 must lie in \[0, 2\].*got 3 in phase 1"
    ):
        Training(recipe, make_dataset(), device=CPU)


def test_batch_norm_on_single_images_is_refused(make_dataset):
    with pytest.raises(
        RecipeError,
        match=r"batch_size of cnn2-32x64 must be at least 2, .*got 1: raise batch_size",
    ):
        Training(changed(RECIPE, batch_size=1), make_dataset(), device=CPU)
    model = dataclasses.replace(RECIPE.model, batch_norm="eval_all")
    single = changed(RECIPE, batch_size=1, model=model, phases=(Phase(epochs=1, learning_rate=1e-3),))
    assert next(iter(Training(single, make_dataset(num_train=5), device=CPU))).num_train_images == 5


@pytest.mark.parametrize("architecture", ["resnet18", "timm/vit_tiny_patch16_224"])
def test_larger_networks_train_and_continue(make_dataset, tmp_path, architecture):
    recipe = changed(
        RECIPE,
        data=Data(image_size=16),
        model=Model(architecture=architecture),
        phases=(Phase(epochs=2, learning_rate=1e-3, freeze_depth=4),),
    )
    dataset = make_dataset(num_train=18, num_validation=6)
    whole = Training(recipe, dataset, device=CPU)
    iterator = iter(whole)
    next(iterator)
    whole.save(tmp_path)
    resumed = Training(recipe, dataset, device=CPU)
    resumed.load(tmp_path)
    assert timeless(list(resumed)) == timeless(list(iterator))


def test_from_an_epoch_to_a_gradient_are_five_calls(make_dataset):
    """Somebody who looks for where a gradient comes from finds it: each call deeper is one more page to
    read.
    """
    training = Training(RECIPE, make_dataset(), device=CPU)
    stacks: list[list[str]] = []

    def note_stack(gradient: torch.Tensor) -> None:
        stacks.append(
            [frame.name for frame in traceback.extract_stack() if "/trainables/training/" in frame.filename]
        )

    training._network.head[0].register_hook(note_stack)
    training.advance(math.inf)
    assert stacks[0] == [
        "advance",
        "_train_epoch",
        "take",
        "_add_gradients",
    ]  # the fifth is torch's backward
