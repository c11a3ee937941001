"""What people ask of a study stands on its run in a real MLflow, and so does what the study starts from."""

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


class Quiet:
    """In place of `Progress`."""

    def say(self, text: str) -> None:
        """Nothing."""


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
    run = _open_run(plan, record, Quiet())  # type: ignore[arg-type]
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

    resumed = _open_run(plan_study(plan.spec, home), record, Quiet())  # type: ignore[arg-type]
    assert resumed.run_id == run.run_id
    append_edit(plan.folder, Edit(kind="resume", user="ada"))
    resumed.end("FINISHED", [], {}, {})
    assert read(home, run.run_id, "edits.jsonl").count("\n") == 3


def test_a_study_that_nobody_asked_anything_of_has_no_such_file(mlflow_home: Home) -> None:
    home = mlflow_home
    plan = plan_study(
        StudySpec.parse({"study": "alone", "dataset": "digits", "search_space": "digits"}), home
    )
    run = _open_run(plan, _start(plan, 0), Quiet())  # type: ignore[arg-type]
    run.end("FINISHED", [], {}, {})
    files = [file.path for file in connect(home.tracking_uri).list_artifacts(run.run_id)]
    assert "study.yaml" in files
    assert "edits.jsonl" not in files
