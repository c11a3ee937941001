"""What a person finds after a study: trials, runs in MLflow, a test result, a registered model that
predicts.
"""

import base64
import json
import os
import re
import socket
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import Study
from finished_study import SECRET, Finished
from PIL import Image

from study.connections.mlflow_client import addressed_to
from study.quote.earlier import BESIDE_FACT
from study.search.record.study_record import StudyRecord
from trainables.datasets.dataset import Dataset
from trainables.datasets.manifest import Manifest
from trainables.datasets.sealed_test import openings

PATIENCE_SECONDS = 300.0


@pytest.fixture(scope="session")
def manifest(finished: Finished) -> Manifest:
    return Manifest.read(finished.home.datasets / "digits")


def test_every_trial_of_the_budget_has_an_end(finished: Finished) -> None:
    assert [trial.number for trial in finished.result.trials] == [0, 1, 2, 3, 4]
    assert all(trial.has_ended for trial in finished.result.trials)
    assert finished.result.state == "finished"


def test_what_it_took_beside_its_trials_is_noted_for_the_next_quote(finished: Finished) -> None:
    beside = StudyRecord.open(finished.result.folder).facts[BESIDE_FACT]
    assert beside["start"] > 1
    assert beside["end"] > 0


def test_who_did_not_watch_is_told_of_the_end(finished: Finished) -> None:
    (told,) = finished.told
    assert told["state"] == "finished"
    assert told["text"].startswith(f"study digits-e2e ({told['user']}, on ")
    assert "5 of 5 trials ended; best macro_f1 " in told["text"]
    assert told["text"].endswith("registered as digits version 1")


def test_the_study_has_made_its_report(finished: Finished) -> None:
    run, folder = finished.parent, finished.result.folder
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "Its most confident mistakes" in report
    assert report.count("data:image/png;base64,") >= 1
    shown = finished.client.download_artifacts(run.info.run_id, "report.html")
    assert Path(shown).read_text(encoding="utf-8") == report
    summary, _, begun = run.data.tags["mlflow.note.content"].partition("### As it began")
    assert f"/runs/{run.info.run_id}/artifacts/report.html" in summary
    assert "#/models/digits/versions/1" in summary
    assert "It searches" in begun


def test_the_record_says_where_each_trial_ran(finished: Finished) -> None:
    trial = finished.result.trials[1]
    assert [stay["place"] for stay in trial.facts["stays"]] == [f"{socket.gethostname()}, CPU"]


def test_it_can_be_asked_where_the_time_of_its_processes_went(study: Study, finished: Finished) -> None:
    told = json.loads(study(finished.home, "show", "digits-e2e", "--timeline", "--json").stdout)
    assert told["unrecorded"] == []
    assert told["unrecorded_seconds"] == 0
    names = [row["training"] for row in told["trainings"]]
    assert names == [f"trial-{number:04d}" for number in range(5)]
    assert {name for row in told["processes"] for name in row["trainings"]} == set(names)
    assert {row["process"].split(":")[0] for row in told["processes"]} == {socket.gethostname()}
    of_training = ("data", "augmentation", "forward", "backward", "optimizer", "validation")
    assert {*of_training, "start", "weights", "logging", "idle", "lost"} == set(told["spans"]) - {"features"}
    assert told["spans"]["start"]["seconds"] > 1, "torch alone takes that to import"
    measured = sum(told["spans"][span]["seconds"] for span in of_training)
    assert measured >= 0.98 * sum(trial.seconds for trial in finished.result.trials)
    assert sum(one["share"] for one in told["spans"].values()) == pytest.approx(1, abs=0.01)
    assert "Training takes" in told["sentence"]


def test_a_diverged_trial_says_at_which_epoch_and_learning_rate(finished: Finished) -> None:
    failed = finished.result.trials[0]
    assert failed.state == "failed"
    assert failed.reason is not None
    assert re.search(
        r"loss became nan in epoch 1 at learning rate \d.*e\+29; lower learning_rate", failed.reason
    )


def test_the_winner_is_the_best_complete_trial_and_is_good(finished: Finished) -> None:
    final, best = finished.result.final, finished.result.best
    assert final is not None
    assert best is not None
    assert final.trial == best.number
    assert best.state == "complete"
    assert final.confirmed == ()
    assert [(one.kind, one.trial, one.seeds) for one in final.candidates] == [("single", best.number, ())]
    accuracy = final.test.metrics["accuracy"]
    assert accuracy.value > 0.9
    assert accuracy.low < accuracy.value < accuracy.high


def test_the_test_split_was_opened_once(finished: Finished) -> None:
    (opening,) = openings(finished.home.datasets / "digits")
    assert opening.opened_by == "study digits-e2e"


def test_every_trial_is_a_child_run_with_a_true_status(finished: Finished) -> None:
    expected = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
    children = finished.children
    assert sorted(children) == [0, 1, 2, 3, 4]
    for trial in finished.result.trials:
        assert children[trial.number].info.status == expected[trial.state]
        assert children[trial.number].data.tags["study.state"] == trial.state
        assert children[trial.number].info.run_id == trial.run_id or trial.state == "failed"
    assert "learning rate" in children[0].data.tags["study.reason"]


def test_every_epoch_is_logged_once(finished: Finished) -> None:
    for trial in finished.result.trials:
        for metric in (
            "train/loss",
            "validation/accuracy",
            "validation/macro_f1",
            "best/macro_f1",
            "learning_rate",
        ):
            if trial.values:
                history = finished.client.get_metric_history(trial.run_id, metric)
                assert sorted(point.step for point in history) == sorted(trial.values)
        if trial.values:
            logged = {
                point.step: point.value
                for point in finished.client.get_metric_history(trial.run_id, "validation/macro_f1")
            }
            assert logged == pytest.approx(dict(trial.values))
            shown = finished.client.get_run(trial.run_id).data.metrics["best/macro_f1"]
            assert shown == pytest.approx(trial.value), "MLflow's table ranks trials as the leaderboard does"


def test_a_run_tells_where_it_comes_from(finished: Finished, manifest: Manifest) -> None:
    run = finished.children[1]
    assert run.data.params["learning_rate"] == "0.005"
    assert run.data.params["epochs"] == "4"
    assert run.data.tags["dataset.digest"] == manifest.digest
    assert run.data.tags["device"].startswith(("cpu", "NVIDIA"))
    for package in ("torch", "ray", "mlflow", "optuna"):
        assert run.data.tags[f"version.{package}"]
    (logged,) = run.inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("digits", manifest.digest[:36])


def test_pictures_are_pictures(finished: Finished) -> None:
    winner = finished.result.best
    assert winner is not None
    for name in (
        "learning_curves.png",
        "confusion_matrix.png",
        "reliability.png",
        "most_confidently_wrong.png",
    ):
        file = finished.client.download_artifacts(winner.run_id, name)
        picture = np.asarray(Image.open(file).convert("L"))
        assert max(picture.shape) > 150
        assert picture.std() > 10, "not an empty sheet"


def test_the_parent_carries_the_study(finished: Finished) -> None:
    parent = finished.parent
    final = finished.result.final
    assert final is not None
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["test/accuracy"] == pytest.approx(final.test.metrics["accuracy"].value)
    assert finished.result.best is not None
    assert parent.data.metrics["best/macro_f1"] == finished.result.best.value
    assert parent.data.metrics["budget/trials"] == len(finished.result.trials)
    assert "study show digits-e2e" in parent.data.tags["mlflow.note.content"]
    for child in finished.children.values():
        assert "the study `digits-e2e`" in child.data.tags["mlflow.note.content"]
    board = json.loads(
        Path(finished.client.download_artifacts(parent.info.run_id, "leaderboard.json")).read_text()
    )["trials"]
    assert board[0]["trial"] == final.trial
    assert finished.client.download_artifacts(parent.info.run_id, "study.yaml")


def test_the_parent_tells_of_the_machine_and_of_what_it_cost(finished: Finished) -> None:
    def read(name: str) -> Any:
        return json.loads(
            Path(finished.client.download_artifacts(finished.parent.info.run_id, name)).read_text()
        )

    environment, cost, trials = read("environment.json"), read("cost.json"), finished.result.trials
    assert environment["packages"]["mlflow"]
    assert environment["cores"] >= 1
    assert cost["seconds"] == pytest.approx(sum(trial.seconds for trial in trials), abs=0.1)
    assert finished.parent.data.metrics["cost/seconds"] == pytest.approx(cost["seconds"], abs=0.1)
    pruned = [trial for trial in trials if trial.state == "pruned"]
    expected = sum((4 - len(trial.values)) * trial.seconds / len(trial.values) for trial in pruned)
    assert cost["saved_seconds"] == pytest.approx(expected, abs=0.1)


def test_the_log_of_what_mlflow_has_is_deleted(finished: Finished) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    outbox = finished.result.folder / "outbox"
    while outbox.exists():  # a trial's process may still be sending
        assert time.monotonic() < deadline, sorted(outbox.iterdir())
        time.sleep(0.1)


def test_no_secret_of_the_environment_is_written_anywhere(finished: Finished) -> None:
    """Neither by us nor by Ray, whose logs everybody on the machine may read."""
    folders = finished.home.folder, Path(os.environ["RAY_TMPDIR"])
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert any("runtime_env" in file.name for file in files), "Ray's logs are among them"
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []


def encoded(image_HWC: np.ndarray) -> bytes:
    content = BytesIO()
    Image.fromarray(image_HWC.squeeze()).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="session")
def model(finished: Finished) -> Any:
    import mlflow

    with addressed_to(finished.home.tracking_uri):
        return mlflow.pyfunc.load_model("models:/digits/1")


def test_the_registered_model_takes_bytes_base64_and_arrays(
    finished: Finished, model: Any, manifest: Manifest
) -> None:
    split = Dataset.open(finished.home.datasets / "digits").validation
    images, labels = split.images[:40], split.labels[:40]
    as_bytes = [encoded(image) for image in images]
    as_text = [base64.b64encode(content).decode() for content in as_bytes]
    tables = [
        model.predict(pd.DataFrame({"image": column}))
        for column in (as_bytes, as_text, list(images), [image.squeeze().tolist() for image in images])
    ]
    for table in tables:
        assert list(table.columns) == ["label", *manifest.classes]
        np.testing.assert_allclose(table[list(manifest.classes)].sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(
            table[list(manifest.classes)], tables[0][list(manifest.classes)], atol=1e-6
        )
        assert (table["label"] == [manifest.classes[label] for label in labels]).mean() > 0.9


def test_the_registered_model_refuses_what_is_no_image(model: Any) -> None:
    with pytest.raises(ValueError, match="image"):
        model.predict(pd.DataFrame({"image": [b"not an image"]}))
    with pytest.raises(ValueError, match="base64"):
        model.predict(pd.DataFrame({"image": ["!!"]}))
    with pytest.raises(ValueError, match=r"whole numbers in \[0, 255\]"):
        model.predict(pd.DataFrame({"image": [[[0.5, 2.0], [1.0, 1.0]]]}))


def test_the_registered_model_has_signature_example_and_tags(finished: Finished, model: Any) -> None:
    assert model.metadata.signature.inputs.input_names() == ["image"]
    assert model.metadata.signature.outputs.input_names()[0] == "label"
    example = model.input_example
    assert model.predict(example)["label"][0] in "0123456789"
    version = finished.client.get_model_version("digits", "1")
    assert version.tags["study.name"] == "digits-e2e"
    assert "test.accuracy_interval" in version.tags


def test_the_process_keeps_its_own_address_of_mlflow(finished: Finished) -> None:
    assert finished.result.final is not None
    assert "MLFLOW_TRACKING_URI" not in os.environ, "a study must not redirect what a notebook logs next"


def test_only_the_weights_of_the_best_trials_are_kept(finished: Finished) -> None:
    folder = finished.result.folder / "weights"
    kept = {file.stem for file in folder.glob("*.pt")}
    assert 1 <= len(kept) <= 3
    assert {file.stem for file in folder.glob("*.npz")} == kept, "each with its inspection"


def test_the_result_is_a_table_for_a_notebook(finished: Finished) -> None:
    frame = finished.result.to_frame()
    assert list(frame["trial"]) == [trial.number for trial in finished.result.leaderboard]
    assert {"learning_rate", "accuracy", "value"} <= set(frame.columns)


@pytest.mark.parametrize("command", ["show digits-e2e", "list", "data list", "data show digits"])
def test_commands_for_a_program(study: Study, finished: Finished, command: str) -> None:
    done = study(finished.home, *command.split(), "--json")
    assert (done.returncode, bool(json.loads(done.stdout))) == (0, True)
