"""What people say and ask of a study stands on its run in a real MLflow, and so does what the study starts
from.
"""

import json
from pathlib import Path
from typing import Any

from earlier_studies import earlier_study

from study import names
from study.connections.mlflow_client import connect
from study.driver.running import _open_run, _start
from study.home import Home
from study.planning.dataset_similarity import DatasetTraits
from study.planning.plan import plan_study
from study.study_file.edits import Edit, append_edit, edits_text
from study.study_file.study_spec import StudySpec
from study.tracking.objective_view import links

SMALL = {"dataset": "digits", "search_space": "digits"}


def read(home: Home, run_id: str, file: str) -> str:
    return Path(connect(home.tracking_uri).download_artifacts(run_id, file)).read_text()


def test_edits_and_starts_stand_on_the_run(mlflow_home: Home) -> None:
    home = mlflow_home
    earlier_study(home, "before", [(0.9, {})])
    tree: dict[str, Any] = {
        "study": "steered",
        "dataset": "digits",
        "search_space": "digits",
        "start_from": [{"best": 1}],
    }
    plan = plan_study(StudySpec.parse(tree), home)
    record = _start(plan, 0)
    run = _open_run(plan, record, lambda _: None)
    run.log_edits()
    append_edit(plan.folder, Edit(kind="pin", point={"batch_size": 64}, user="ada"))
    run.log_edits()
    append_edit(plan.folder, Edit(kind="stop", user="bob"))
    run.end("KILLED", [], {}, {})
    asked = read(home, run.run_id, "edits.jsonl")
    assert asked == edits_text(plan.folder)
    assert [json.loads(line)["user"] for line in asked.splitlines()] == ["ada", "bob"]
    assert json.loads(read(home, run.run_id, "starts.json"))["used"][0]["trial"]["study"] == "before"
    tags = connect(home.tracking_uri).get_run(run.run_id).data.tags
    assert DatasetTraits.read(tags[names.DATASET_TRAITS]) == DatasetTraits.of(plan.manifest)

    resumed = _open_run(plan_study(plan.spec, home), record, lambda _: None)
    assert resumed.run_id == run.run_id
    append_edit(plan.folder, Edit(kind="resume", user="ada"))
    resumed.end("FINISHED", [], {}, {})
    assert read(home, run.run_id, "edits.jsonl").count("\n") == 3


def test_a_study_that_nobody_asked_anything_of_has_no_such_file(mlflow_home: Home) -> None:
    home = mlflow_home
    plan = plan_study(
        StudySpec.parse({"study": "alone", "dataset": "digits", "search_space": "digits"}), home
    )
    run = _open_run(plan, _start(plan, 0), lambda _: None)
    run.end("FINISHED", [], {}, {})
    files = [file.path for file in connect(home.tracking_uri).list_artifacts(run.run_id)]
    assert "study.yaml" in files
    assert "edits.jsonl" not in files


def test_what_a_person_says_of_a_study_stands_on_its_run(mlflow_home: Home) -> None:
    home = mlflow_home
    tree: dict[str, Any] = {
        "study": "told",
        "dataset": "digits",
        "search_space": "digits",
        "about": "Is a small network enough?",
        "tags": {"owner": "ada", "Purpose.1": "base line: 50 %"},
        "budget": {"trials": 3, "epochs": 4, "hours": 1.5},
    }
    plan = plan_study(StudySpec.parse(tree), home)
    run = _open_run(plan, _start(plan, 0), lambda _: None)
    run.end("FINISHED", [], {}, {})
    tags = connect(home.tracking_uri).get_run(run.run_id).data.tags
    assert {"owner": "ada", "Purpose.1": "base line: 50 %"}.items() <= tags.items()
    described = tags["mlflow.note.content"]
    for part in (
        "Is a small network enough?",
        "dataset `digits`",
        "`learning_rate`",
        "`macro_f1`",
        "3 trials of at most 4 epochs, 1.5 hours",
        "`study extend told --trials",
    ):
        assert part in described
    experiment = connect(home.tracking_uri).get_experiment_by_name("digits")
    assert experiment is not None
    view = json.loads(experiment.tags["mlflow.sharedViewState.study-macro_f1"])
    assert view["selectedColumns"][0] == "metrics.`best/macro_f1`", "the objective is the first column"
    assert view["orderByKey"] == "metrics.`best/macro_f1`", "the best comes first"
    assert view["orderByAsc"] is False
    ((dataset, metric, address),) = links(connect(home.tracking_uri), "http://x")
    assert (dataset, metric) == ("digits", "macro_f1")
    assert address == (
        f"http://x/#/experiments/{experiment.experiment_id}/runs"
        "?workflowType=machine_learning&viewStateShareKey=study-macro_f1"
    )
    assert "Studies on the dataset `digits`" in experiment.tags["mlflow.note.content"]


def test_the_budget_of_a_run_follows_each_extension(mlflow_home: Home) -> None:
    home = mlflow_home
    tree = {**SMALL, "study": "grows", "budget": {"trials": 8, "epochs": 4, "hours": 1}}
    plan = plan_study(StudySpec.parse(tree), home)
    record = _start(plan, 0)
    run = _open_run(plan, record, lambda _: None)
    append_edit(plan.folder, Edit(kind="extend", trials=2))
    run.log_edits()
    append_edit(plan.folder, Edit(kind="pin", point={"batch_size": 64}))
    run.log_edits()
    run.end("FINISHED", [], {}, {})
    append_edit(plan.folder, Edit(kind="extend", trials=5, hours=0.5))
    resumed = _open_run(plan_study(plan.spec, home), record, lambda _: None)
    resumed.end("FINISHED", [], {}, {})

    client = connect(home.tracking_uri)
    data = client.get_run(run.run_id).data
    assert data.metrics["budget/trials"] == 15
    assert data.metrics["budget/hours"] == 1.5
    assert [point.value for point in client.get_metric_history(run.run_id, "budget/trials")] == [8, 10, 15]
    assert data.tags["study.budget"] == "15 trials of at most 4 epochs, 1.5 hours"
    assert "trials" not in data.params, "a parameter could not follow"
