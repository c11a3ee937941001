"""Candidates of a confirmed configuration are measured in one opening of the test split, whoever dies in
between.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from search_spaces.space import Point
from study.evaluation.candidate_models import CandidateModel, confirmed_candidates
from study.evaluation.confirmation import Confirmation, configurations_to_confirm
from study.evaluation.intervals import metric_intervals
from study.evaluation.test_evidence import MEASURED_FOLDER
from study.evaluation.test_split import Measurement, is_measured, measure_once
from study.home import Home
from study.planning.plan import Plan, plan_study
from study.recipes.point import build_recipe
from study.recipes.trial_seed import confirmation_seed
from study.registry.model_card import Origin, model_card
from study.registry.siblings import choose_once
from study.search.record.kept_weights import save_weights
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.study_file.study_spec import StudySpec
from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import open_test_split, openings, pixel_digests_of_test
from trainables.devices.device import find_device
from trainables.metrics.from_logits import metrics_of
from trainables.training.loop import Training

VALUES = (0.7, 0.9, 0.8)


def made_study(
    home: Home, calibration: str, people: Path | None = None
) -> tuple[Plan, tuple[CandidateModel, ...]]:
    """A study with one trial, confirmed by three seeds: networks of one epoch.

    Its digits are those of scikit-learn, or the files S01_7.png in `people`.
    """
    options = AddOptions() if people is None else AddOptions(group_pattern=r"^(S\d+)_", test_fraction=0.3)
    add_dataset(home.datasets, "digits", people, options)
    tree = {
        "study": "s",
        "dataset": "digits",
        "search_space": "digits",
        "extend": {"calibration": {"choice": [calibration]}},
        "budget": {"trials": 1, "epochs": 1},
    }
    plan = plan_study(StudySpec.parse(tree), home)
    plan.folder.mkdir(parents=True)
    search = StudyRecord.create(plan.folder, "s", objectives=plan.spec.objectives)
    complete(search, plan, VALUES[0])
    confirmation = Confirmation.create(plan.folder, plan.spec.objective)
    confirmation.want(search, configurations_to_confirm(search, 1), len(VALUES), plan.space)
    for seed, value in enumerate(VALUES, start=1):
        number, point = complete(confirmation.record, plan, value)
        train(plan, confirmation.folder, number, point, confirmation_seed(plan.spec.seed, 0, seed))
    return plan, confirmed_candidates(plan, confirmation, 0)


def complete(record: StudyRecord, plan: Plan, value: float) -> tuple[int, Point]:
    asked = record.ask(plan.space, 0)
    assert asked is not None
    record.report(asked[0], EpochReport(epoch=1, value=value, metrics={}, seconds=1.0, run_id=f"run-{value}"))
    record.finish(asked[0], "complete")
    return asked


def train(plan: Plan, folder: Path, number: int, point: Point, seed: int) -> None:
    recipe = build_recipe(point, dataset=plan.manifest, epochs=1, seed=seed)
    training = Training(recipe, Dataset.open(plan.dataset_folder), device=find_device())
    next(iter(training))
    save_weights(folder, number, training)


@pytest.fixture(scope="module", autouse=True)
def _single_thread() -> Iterator[None]:
    """Networks this small take longer on two threads than on one, and far longer where other processes
    run.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Plan, tuple[CandidateModel, ...], tuple[Measurement, ...]]:
    plan, made = made_study(Home(tmp_path_factory.mktemp("measured")), "none")
    assert not is_measured(plan, made)
    return plan, made, measure_once(plan, made)


def test_the_best_seed_and_the_ensemble_of_all_are_candidates(
    measured: tuple[Plan, tuple[CandidateModel, ...], object],
) -> None:
    _, (single, ensemble), _ = measured
    assert (single.kind, single.seeds, single.value, single.run_id, single.name) == (
        "single",
        (2,),
        0.9,
        "run-0.9",
        "trial-0000-seed-2",
    )
    assert (ensemble.kind, ensemble.seeds, ensemble.value, ensemble.name) == (
        "ensemble",
        (1, 2, 3),
        None,
        "trial-0000-seeds-1-2-3",
    )


def test_which_candidate_is_the_result_is_settled_with_no_test_split_at_hand(tmp_path: Path) -> None:
    """It used to be chosen by the test split, at the full level, in no log."""
    plan, made = made_study(Home(tmp_path), "none")
    test = plan.dataset_folder / "test.arrow"
    test.rename(tmp_path / "elsewhere")
    verdict = choose_once(plan, made)
    assert verdict is not None
    assert "on validation" in verdict.sentence
    (tmp_path / "elsewhere").rename(test)
    assert openings(plan.dataset_folder) == ()
    assert choose_once(plan, made) == verdict
    assert choose_once(plan, made[:1]) is None


def test_a_study_with_the_name_of_a_removed_one_opens_the_test_split_again(
    measured: tuple[Plan, tuple[CandidateModel, ...], object], tmp_path: Path
) -> None:
    """Its opening was taken for that of the removed one, whose numbers somebody had seen."""
    plan, (single, _), _ = measured
    shutil.copytree(plan.home.datasets, tmp_path / "datasets")
    plan = plan_study(plan.spec, Home(tmp_path))
    num_before = len(openings(plan.dataset_folder))
    for num_studies in (1, 2):
        measure_once(plan, (single,))
        measure_once(plan, (single,))
        assert len(openings(plan.dataset_folder)) == num_before + num_studies
        shutil.rmtree(plan.folder)


def test_one_opening_serves_both_candidates(
    measured: tuple[Plan, tuple[CandidateModel, ...], tuple[Measurement, ...]],
) -> None:
    plan, made, (single, ensemble) = measured
    assert single.result.num_openings == ensemble.result.num_openings == 1
    assert is_measured(plan, made)
    again = measure_once(plan, made)
    assert [one.result for one in again] == [single.result, ensemble.result]
    np.testing.assert_array_equal(again[1].evidence.probabilities_NK, ensemble.evidence.probabilities_NK)
    assert len(openings(plan.dataset_folder)) == 1


def test_a_selection_that_is_gone_since_opens_nothing_again(
    measured: tuple[Plan, tuple[CandidateModel, ...], tuple[Measurement, ...]],
) -> None:
    """An extended study may keep other weights than those that a selection was made of."""
    plan, made, (single, _) = measured
    whole = plan.folder / MEASURED_FOLDER / made[-1].name
    beside = whole.with_name(f"{whole.name}-beside-selection-of-0000-seed-1-and-0000-seed-2")
    shutil.copytree(whole, beside)
    shutil.rmtree(whole)
    again = measure_once(plan, made)
    assert again[0].result == single.result
    assert whole.exists()
    assert len(openings(plan.dataset_folder)) == 1
    shutil.rmtree(beside)


def test_what_is_told_is_what_the_classifier_says(
    measured: tuple[Plan, tuple[CandidateModel, ...], tuple[Measurement, ...]],
) -> None:
    plan, made, measurements = measured
    folder = plan.home.folder / "copy"
    shutil.copytree(
        plan.dataset_folder, folder, ignore=shutil.ignore_patterns("openings.jsonl")
    )  # this look is a test's own
    split, is_clean_N = open_test_split(folder, opened_by="test")
    for one, measurement in zip(made, measurements, strict=True):
        probabilities_NK = one.classifier.probabilities_of_stored(split.images)
        np.testing.assert_allclose(measurement.evidence.probabilities_NK, probabilities_NK, atol=1e-6)
        metrics, result = metrics_of(probabilities_NK, split.labels), measurement.result
        assert result.metrics["macro_f1"].value == pytest.approx(metrics.macro_f1)
        assert [row.recall and row.recall.value for row in result.classes] == pytest.approx(
            metrics.recall_by_class
        )
        assert (result.num_images, result.num_clean) == (len(split), int(is_clean_N.sum()))
        assert result.calibration.before.log_loss == pytest.approx(metrics.log_loss, rel=1e-5)
        assert measurement.evidence.latency_ms > 0


def test_who_dies_between_opening_and_keeping_goes_on_with_the_same_opening(
    measured: tuple[Plan, tuple[CandidateModel, ...], tuple[Measurement, ...]],
) -> None:
    plan, made, before = measured
    whole = plan.folder / MEASURED_FOLDER / made[-1].name
    shutil.rmtree(whole)
    assert not is_measured(plan, made)
    after = measure_once(plan, made)
    assert is_measured(plan, made)
    assert len(openings(plan.dataset_folder)) == 1
    assert [one.result.metrics for one in after] == [one.result.metrics for one in before]


def test_a_recipe_that_asks_for_a_temperature_is_measured_with_it(tmp_path: Path) -> None:
    plan, made = made_study(Home(tmp_path), "temperature")
    single, ensemble = measure_once(plan, made)
    calibration = single.result.calibration
    assert calibration.is_registered
    assert calibration.temperature == pytest.approx(made[0].classifier.config.temperature, rel=1e-3)
    assert single.result.metrics["log_loss"].value == pytest.approx(calibration.after.log_loss, rel=1e-4)
    assert calibration.before.log_loss != pytest.approx(calibration.after.log_loss, rel=1e-3)
    assert not ensemble.result.calibration.is_registered


def test_people_are_counted_and_images_that_are_known_are_not_clean(tmp_path: Path) -> None:
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images[:300], digits.target, strict=False)):
        (tmp_path / "people" / str(label)).mkdir(parents=True, exist_ok=True)
        file = tmp_path / "people" / str(label) / f"S{number % 25:02}_{number}.png"
        Image.fromarray((image * 15).astype(np.uint8)).save(file)
    plan, made = made_study(Home(tmp_path / "home"), "none", tmp_path / "people")
    known = frozenset(pixel_digests_of_test(plan.dataset_folder)[:20])
    single, ensemble = measure_once(plan, made, known=known, remarks=("20 are known",))
    num_people = plan.manifest.splits["test"].num_groups
    assert num_people is not None
    assert 3 < num_people < 15
    for one in (single, ensemble):
        assert one.evidence.groups_N is not None
        assert len(np.unique(one.evidence.groups_N)) == one.result.num_groups == num_people
        assert all((row.num_groups or 0) <= num_people for row in one.result.classes)
        assert one.result.num_clean == one.result.num_images - 20
        assert one.result.remarks == ("20 are known",)
        evidence = one.evidence
        over_groups = metric_intervals(evidence.probabilities_NK, evidence.labels_N, evidence.groups_N)
        assert one.result.metrics == over_groups
    text = model_card(origin(plan), plan.manifest, made[0].classifier, single.result)
    assert (
        f"images of {num_people} groups, of which {single.result.num_clean} have no equal, and none" in text
    )
    assert "Intervals are 95 %, over groups, as images of a group are alike." in text
    assert f"Its test images are of only {num_people} groups (^(S\\d+)_)" in text
    assert "- 20 are known." in text
    assert "| class | images | groups | recall | precision |" in text


def origin(plan: Plan) -> Origin:
    return Origin(
        study=plan.spec.study,
        trial=0,
        seeds=(2,),
        parent_run_id="r",
        run_id="s",
        metric="accuracy",
        value=0.9,
    )
