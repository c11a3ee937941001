"""A study of few people's images: folds by person, further seeds, one measurement, a version that is used."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import Study
from fresh_homes import FreshHomes
from PIL import Image
from sklearn.datasets import load_digits

from study.connections.mlflow_client import connect
from study.driver.running import run_study
from study.home import Home
from study.results.study_result import StudyResult
from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import fold_numbers
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import openings

NUM_PEOPLE, NAMES = 24, ("zero", "one", "two")
SPEC = {
    "study": "few-people",
    "dataset": "people",
    "search_space": "digits",
    "extend": {"calibration": {"choice": ["temperature"]}},
    "start_from": [{"learning_rate": rate} for rate in (5e-3, 3e-3)],
    "budget": {"trials": 2, "epochs": 3},
    "early_stopping": "none",
    "validate": {"folds": 3},
    "confirm": {"top": 1, "seeds": 2},
    "ensemble": "seeds",
    "resources": {"max_concurrent": 1},
}


pytestmark = pytest.mark.slow  # a study of folds trains for them


@pytest.fixture(scope="module")
def home(fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the dataset people: 12 images of each of 24 people, of three digits."""
    home, source = fresh_homes.make(tmp_path_factory.mktemp("folds")), tmp_path_factory.mktemp("people")
    digits = load_digits(n_class=3)
    rows = ["filename,label,person"]
    for index in range(12 * NUM_PEOPLE):
        pixels = (digits.images[index] * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).save(source / f"{index}.png")
        rows.append(f"{index}.png,{NAMES[digits.target[index]]},p{index // 12}")
    (source / "people.csv").write_text("\n".join(rows))
    add_dataset(home.datasets, "people", source / "people.csv", AddOptions(group_column="person"))
    return home


@pytest.fixture(scope="module")
def result(local_ray: None, home: Home) -> StudyResult:
    """The study, finished."""
    return run_study(SPEC, home=home)


def test_values_are_means_over_folds_of_people(result: StudyResult, home: Home) -> None:
    dataset = Dataset.open(home.datasets / "people")
    assert dataset.train.groups is not None
    assert dataset.validation.groups is not None
    people = np.concatenate([dataset.train.groups, dataset.validation.groups])
    fold_N = fold_numbers(dataset, 3)
    assert len({(person, fold) for person, fold in zip(people, fold_N, strict=True)}) == len(set(people))
    client = connect(home.tracking_uri)
    for trial in result.trials:
        assert trial.state == "complete"
        assert trial.run_id is not None
        run = client.get_run(trial.run_id).data
        assert run.params["folds"] == "3"
        scatter = client.get_metric_history(trial.run_id, "folds/macro_f1_deviation")
        assert [point.step for point in scatter] == [1, 2, 3]
        assert all(0 < point.value < 0.5 for point in scatter)
        network = 3 * 64 + 64  # of the last layer alone
        assert trial.measures["parameters_million"] * 1e6 > 3 * network, "of the networks of all folds"
        files = {file.path for file in client.list_artifacts(trial.run_id)}
        assert {"confusion_matrix.png", "learning_curves.png"} <= files
    assert result.run_id is not None
    assert client.get_run(result.run_id).data.params["folds"] == "3"


def test_the_networks_of_all_folds_are_measured_once_and_registered(result: StudyResult, home: Home) -> None:
    final = result.final
    assert final is not None
    single, ensemble = final.candidates
    assert (single.num_folds, ensemble.num_folds) == (3, 3)
    assert (len(single.seeds), ensemble.seeds) == (1, (1, 2))
    assert len(openings(home.datasets / "people")) == 1
    assert single.test.num_groups is not None
    assert single.test.metrics["accuracy"].value > 0.7
    assert single.test.calibration.is_by_member
    version = connect(home.tracking_uri).get_model_version("people", str(single.version))
    assert version.tags["study.folds"] == "3"
    card = version.description
    assert "The mean of 3 networks" in card
    assert "divided into 3 folds, and each network was trained on 2 of them" in card
    assert "the mean over 3 folds" in card
    assert "Its networks apply temperatures that were fitted to images that they were not trained on" in card
    other = connect(home.tracking_uri).get_model_version("people", str(ensemble.version))
    assert "The mean of 6 networks" in other.description


def test_it_is_shown_used_and_trained_again(
    result: StudyResult, home: Home, study: Study, tmp_path: Path
) -> None:
    assert result.final is not None
    single, ensemble = result.final.candidates
    shown = study(home, "show", "few-people").stdout
    assert "Values of trials are means over 3 folds." in shown
    assert "the mean of 3 folds" in shown
    assert "the mean of 2 seeds with 3 folds" in shown
    assert json.loads(study(home, "show", "few-people", "--json").stdout)["folds"] == 3
    assert "macro_f1, 3 folds" in study(home, "list", "--all").stdout
    image = tmp_path / "zero.png"
    Image.fromarray((load_digits().images[0] * 255 / 16).astype(np.uint8)).save(image)
    predicted = study(home, "predict", f"people/{single.version}", image)
    assert predicted.returncode == 0
    assert "zero" in predicted.stdout
    for version in (single.version, ensemble.version):
        again = study(home, "reproduce-model", f"people/{version}")
        assert again.returncode == 0, again.stdout + again.stderr
    folder = tmp_path / "images" / "zero"
    folder.mkdir(parents=True)
    image.rename(folder / "zero.png")
    evaluated = study(home, "evaluate", f"people/{single.version}", "--from", folder.parent)
    assert evaluated.returncode == 0, evaluated.stderr


def test_another_study_starts_from_its_weights_and_its_best(
    result: StudyResult, home: Home, study: Study, tmp_path: Path
) -> None:
    assert result.final is not None
    spec = {
        **SPEC,
        "study": "next",
        "fix": {"weights": f"models:/people/{result.final.version}", "architecture": "cnn2-32x64"},
        "start_from": [{"best": 1}],
    }
    file = tmp_path / "next.yaml"
    file.write_text(yaml.safe_dump(spec))
    checked = study(home, "check", file)
    assert checked.returncode == 0, checked.stderr
    text = " ".join(checked.stdout.split())
    assert "over 3 folds" in text
    assert "each trial trains 3 networks, validated on 3 folds" in text
