"""A STUDY_HOME that was moved, a database without its files, and versions that a server keeps."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from fresh_homes import FreshHomes
from mlflow_server import running_mlflow
from PIL import Image
from registering_tiny import Registry, add

from study.connections.mlflow_client import connect
from study.errors import MissingFilesError
from study.home import Home
from study.registry.predictions import opened, predictions
from study.registry.promotion import history, promote, versions_with_files
from study.registry.version_files import fetch_weights
from trainables.inference.classifier import Classifier


@pytest.fixture
def decided(sqlite_registry: Registry, classifier: Classifier) -> Registry:
    """A champion, and a version that was refused."""
    add(sqlite_registry, classifier, 0.9)
    promote(sqlite_registry.home, "digits", user="ann")
    add(sqlite_registry, classifier, 0.8)
    promote(sqlite_registry.home, "digits", user="bob")
    return sqlite_registry


def test_all_works_after_a_home_was_moved(decided: Registry, tmp_path: Path) -> None:
    home = Home(decided.home.folder.rename(tmp_path / "elsewhere"))
    assert [one.kind for one in history(home, "digits").decisions] == ["promoted", "refused"]
    assert [has_files for _, has_files in versions_with_files(home, "digits")] == [True, True]
    Image.new("L", (9, 9)).save(tmp_path / "dark.png")
    with opened(home, "digits") as (version, loaded):
        assert version.number == 1
        (prediction,) = predictions(loaded, [tmp_path / "dark.png"])
    assert prediction.label is not None
    again = promote(home, "digits", 2, user="cleo")
    assert again.comparison is not None
    assert again.comparison.num_images > 0


def test_a_database_alone_tells_the_history_and_what_is_missing(decided: Registry, tmp_path: Path) -> None:
    home = Home(tmp_path / "other-machine")
    home.folder.mkdir()
    shutil.copy(decided.home.folder / "mlflow.db", home.folder)
    shutil.rmtree(decided.home.folder)
    assert [(one.user, one.kind, one.version) for one in history(home, "digits").decisions] == [
        ("ann", "promoted", 1),
        ("bob", "refused", 2),
    ]
    assert (
        "accuracy is worse by 0.1003, and the gain must be more than 0 (minimum_gain)"
        in history(home, "digits").decisions[1].evidence
    )
    first, second = history(home, "digits").tables.values()
    assert first is None
    assert second is not None
    assert second["metrics"]["accuracy"] == pytest.approx([0.9, 0.8], abs=0.01)
    assert [has_files for _, has_files in versions_with_files(home, "digits")] == [False, False]
    with (
        pytest.raises(MissingFilesError, match=r"the files of digits/1 are neither at .* nor below"),
        opened(home, "digits"),
    ):
        pass
    assert promote(home, "digits", 2).decision.kind == "refused", (
        "nothing can be measured, and nothing breaks"
    )


@pytest.mark.slow
def test_versions_that_a_server_keeps(
    fresh_homes: FreshHomes, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = shutil.copy(fresh_homes.mlflow_tables, tmp_path)
    with running_mlflow(f"sqlite:///{database}", str(tmp_path / "kept")) as port:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        home = fresh_homes.make(tmp_path / "home", with_digits=True)
        registry = Registry(home, connect(home.tracking_uri))
        add(registry, classifier, 0.8)
        promote(home, "digits")
        add(registry, classifier, 0.97)
        better = promote(home, "digits")
        assert better.comparison is not None
        assert better.decision.kind == "promoted"
        tables = history(home, "digits").tables[better.decision.key]
        assert tables is not None
        assert tables["num_images"] == better.comparison.num_images
        images = np.zeros((2, 8, 8, 1), np.uint8)
        with opened(home, "digits@champion") as (version, loaded):
            assert version.number == 2
            np.testing.assert_array_equal(
                loaded.probabilities_of_stored(images), classifier.probabilities_of_stored(images)
            )
        assert fetch_weights("models:/digits/2", home).is_relative_to(home.folder)
