"""From a recipe to the study that reproduces it, and from its measurements to a verdict."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from search_spaces.errors import UnknownNameError
from search_spaces.named import find_recipe
from study.driver.recipe_runs import Scale, matching, reproduce, reproduction_spec
from study.driver.seed_measurement import merged_classes
from study.errors import SpecError
from study.home import Home
from study.results.reproduction import Reproduction, Reproductions, scaled_down
from study.results.reproduction_table import markdown_table
from trainables.metrics.from_logits import metrics_of

DONE = Reproduction(
    recipe="fer-cnn4-32x256",
    metric="accuracy",
    stated=0.63,
    values=(0.61, 0.62, 0.63),
    validation=(0.6, 0.6, 0.6),
    num_images=2873,
    epochs=(30, 30, 30),
    scaled_down=("30 of 75 epochs",),
    not_rebuilt="no split of FER2013",
    seconds=3600.0,
)


def test_the_interval_is_students_of_the_mean_over_seeds() -> None:
    low, high = stats.t.interval(0.95, 2, loc=np.mean(DONE.values), scale=stats.sem(DONE.values))
    assert DONE.interval == pytest.approx((low, high))


def test_one_seed_has_the_interval_of_its_images() -> None:
    low, high = replace(DONE, values=(0.62,)).interval or (0, 0)
    assert low == pytest.approx(0.6021, abs=2e-4)
    assert high == pytest.approx(0.6376, abs=2e-4)


@pytest.mark.parametrize(
    ("stated", "verdict"),
    [(0.63, "reproduced"), (0.7, "below"), (0.5, "exceeded"), (None, "no number stated")],
)
def test_the_verdict_says_whether_the_interval_covers_what_is_stated(
    stated: float | None, verdict: str
) -> None:
    assert replace(DONE, stated=stated, scaled_down=()).verdict == verdict
    if stated is not None:
        assert replace(DONE, stated=stated).verdict == f"{verdict}, scaled down"


def test_a_reproduction_survives_writing(tmp_path: Path) -> None:
    DONE.write(tmp_path)
    assert Reproduction.read(tmp_path) == DONE


def test_the_table_in_markdown_says_what_was_scaled_down_and_what_cannot_be_rebuilt() -> None:
    text = markdown_table(
        Reproductions(done=(DONE,), not_run={"notmnist-cnn": "dataset 'notmnist' is not here"})
    )
    assert "| fer-cnn4-32x256 | accuracy | 63.00% | 62.00% |" in text
    assert "30 of 75 epochs" in text
    assert "no split of FER2013" in text
    assert "notmnist-cnn was not run" in text


def test_a_scaled_study_changes_what_it_says_and_nothing_else() -> None:
    recipe = find_recipe("fer-r18-freeze-l1")
    spec = reproduction_spec(recipe, Scale(images=6000, epochs=3, size=48, weights="w.pth", seeds=2))
    assert spec.study.startswith("reproduce-fer-r18-freeze-l1-6000i-3e-48px-2s-")
    assert spec.fix["crop_margin"] == 7
    changed = {name for name in spec.fix if spec.fix[name] != recipe.point.get(name)}
    assert changed == {"train_images", "image_size", "crop_margin", "weights"}
    assert scaled_down(spec, recipe) == ("6,000 images", "48 px", "weights w.pth", "3 of 15 epochs")
    assert scaled_down(reproduction_spec(recipe, Scale()), recipe) == ()


def test_the_interval_of_a_mean_over_seeds_ends_where_the_metric_ends() -> None:
    low, high = replace(DONE, metric="macro_f1", values=(0.99, 0.9)).interval or (0.0, 0.0)
    assert (low, high) == (pytest.approx(0.945 - 12.706 * 0.045, abs=1e-3), 1.0)


def test_patterns_name_several_recipes_each_once() -> None:
    names = [recipe.name for recipe in matching(["fer-r18-freeze-l1*", "fer-r18-freeze-l1"])]
    assert names == ["fer-r18-freeze-l1", "fer-r18-freeze-l12", "fer-r18-freeze-l123"]
    with pytest.raises(UnknownNameError, match="unknown recipe 'fer-r19'"):
        matching(["fer-r19"])


def test_groups_are_judged_by_the_sum_of_their_probabilities() -> None:
    probabilities = np.array([[0.4, 0.3, 0.3], [0.1, 0.5, 0.4]], np.float32)
    groups = {"one": ("a",), "two": ("b", "c")}
    for merged, accuracy in ((groups, 1.0), (None, 0.0)):
        pair = merged_classes(probabilities, np.array([1, 2]), ["a", "b", "c"], merged)
        assert metrics_of(*pair).accuracy == accuracy


def test_one_seed_on_images_of_people_has_the_interval_of_the_people() -> None:
    assert replace(DONE, values=(0.62,), over_groups=(0.5, 0.7)).interval == (0.5, 0.7)


def test_a_dataset_that_is_not_here_comes_with_the_command_that_adds_it(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"dataset 'notmnist' .* is not here; add it: study data add notmnist --from FOLDER"
    ):
        reproduce(["notmnist-cnn"], Scale(), home=Home(tmp_path))
