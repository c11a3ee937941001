"""Reproducing named recipes for real: Ray trains the seeds, the test split is opened once, the table says
what was cut.
"""

import json
from pathlib import Path

import pytest
from command_line import Study
from fresh_homes import FreshHomes
from PIL import Image
from sklearn.datasets import load_digits

from study.connections.mlflow_client import connect
from study.home import Home
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import openings

COMMAND = ("reproduce", "notmnist-cnn*", "--images", "300", "--epochs", "2", "--seeds", "2")


@pytest.fixture
def home_with_letters(fresh_homes: FreshHomes, tmp_path: Path) -> Home:
    """Digits enlarged to the size of letters, under the dataset name that the recipe has."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:900], digits.target, strict=False)):
        folder = tmp_path / "letters" / "ABCDEFGHIJ"[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype("uint8")).resize((28, 28)).save(folder / f"{number}.png")
    home = fresh_homes.make(tmp_path / "home")
    add_dataset(home.datasets, "notmnist", tmp_path / "letters", AddOptions(test_fraction=0.2))
    return home


@pytest.mark.slow
def test_a_recipe_is_reproduced_once_and_what_cannot_run_is_told(
    local_ray: None, study: Study, home_with_letters: Home, tmp_path: Path
) -> None:
    home = home_with_letters
    done = study(home, *COMMAND, "--markdown", tmp_path / "table.md")
    assert done.returncode == 0, done.stderr
    assert "300 images, 2 of 10 epochs" in done.stdout
    assert "not run" in done.stdout
    assert "study data add notmnist-permuted --from FOLDER" in done.stdout
    table = (tmp_path / "table.md").read_text()
    assert "| notmnist-cnn | accuracy | 93.00% |" in table

    result_file = home.studies / "reproduce-notmnist-cnn-300i-2e-2s" / "reproduction.json"
    tree = json.loads(result_file.read_text())
    assert len(tree["values"]) == 2
    assert min(tree["values"]) > 0.3, "ten classes, so learning shows"
    assert len(openings(home.datasets / "notmnist")) == 1

    client = connect(home.tracking_uri)
    (parent,) = [
        run
        for run in client.search_runs([client.get_experiment_by_name("notmnist").experiment_id])
        if "verdict" in run.data.tags
    ]
    assert parent.data.tags["recipe"] == "notmnist-cnn"
    assert parent.data.metrics["reproduction/accuracy"] == pytest.approx(sum(tree["values"]) / 2)
    (table_run,) = client.search_runs([client.get_experiment_by_name("reproductions").experiment_id])
    assert table_run.data.metrics["notmnist-cnn/accuracy"] == parent.data.metrics["reproduction/accuracy"]
    assert [file.path for file in client.list_artifacts(table_run.info.run_id)] == [
        "reproductions.json",
        "reproductions.md",
    ]
    assert client.search_registered_models() == [], "a reproduction selects nothing, so it registers nothing"

    again = study(home, *COMMAND, "--json")
    assert json.loads(again.stdout)[0]["values"] == tree["values"]
    assert "was reproduced before" in again.stderr
    assert len(openings(home.datasets / "notmnist")) == 1
