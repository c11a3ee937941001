"""What MLflow does that nobody promised: each test stands for a row of README.md."""

import json
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
from fresh_mlflow import FreshMlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.environment_variables import (
    MLFLOW_DISABLE_TELEMETRY,
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION,
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
    MLFLOW_UV_AUTO_DETECT,
)
from mlflow.exceptions import MlflowException, RestException
from mlflow.models import Model
from mlflow.store.db.utils import _get_managed_session_maker
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModel
from mlflow.utils import mlflow_tags, validation
from packaging.version import Version
from ports import free_port
from sqlalchemy import create_engine
from sqlalchemy.exc import DataError, OperationalError, TimeoutError
from sqlalchemy.orm import sessionmaker

from cluster.scoped_environment import scoped_environment
from study import names
from study.connections import mlflow_tables
from study.connections.mlflow_client import addressed_to
from study.connections.mlflow_tables import dumped, last_revision, made_by_migrations, make_tables
from study.registry.decision_log import PARAMS_PER_BATCH, PART_LENGTH
from study.registry.model_card import MAX_DESCRIPTION
from study.registry.registration import _SETTINGS
from study.tracking.dataset_input import DIGEST_LENGTH
from study.tracking.delivery import MAX_METRICS_IN_A_CALL
from study.tracking.objective_view import TRAINING, VIEW
from study.tracking.outbox import _ONE_TRY, _STORE_LIBRARIES, is_worth_retrying
from study.tracking.result_tables import _split
from study.tracking.trial_run import MAX_TAG_CHARACTERS
from study.tracking.unneeded_files import _repository, _sizes

TABLES_SINCE = Version("3.17")
"""The first MLflow whose tables are those that we store."""

MODEL = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Nothing(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


set_model(Nothing())
"""


def test_tags_are_called_as_mlflow_calls_them() -> None:
    assert names.PARENT == mlflow_tags.MLFLOW_PARENT_RUN_ID
    assert names.USER == mlflow_tags.MLFLOW_USER
    assert names.COMMIT == mlflow_tags.MLFLOW_GIT_COMMIT
    assert names.SOURCE == mlflow_tags.MLFLOW_SOURCE_NAME
    assert names.TABLES == mlflow_tags.MLFLOW_LOGGED_ARTIFACTS
    assert names.NOTE == mlflow_tags.MLFLOW_RUN_NOTE
    assert mlflow_tags.MLFLOW_RUN_NAME in names.DECISIONS_RUN_TAGS


def test_the_pages_know_experiments_for_training() -> None:
    ((tag, kind),) = names.EXPERIMENT_KIND.items()
    assert any(tag in text and kind in text for text in sources_of_pages())


def test_the_pages_take_a_view_from_a_tag_that_the_address_names() -> None:
    tag = names.view_tag("macro_f1")
    wanted = {
        tag.removesuffix(names.view_name("macro_f1")),
        VIEW,
        TRAINING.partition("=")[0],
        TRAINING.partition("=")[2],
        "selectedColumns",
        'METRICS:"metrics"',
        'ATTRIBUTES:"attributes"',
        'MODELS:"Models"',
        'DURATION:"Duration"',
        'PARAMS:"params"',
        "orderByKey",
        "orderByAsc",
    }
    assert any(all(word in text for word in wanted) for text in sources_of_pages())


def sources_of_pages() -> Iterator[str]:
    folder = Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js"
    return (file.read_text(encoding="utf-8", errors="replace") for file in sorted(folder.glob("main.*.js")))


def test_a_table_is_a_file_and_a_tag(mlflow: FreshMlflow) -> None:
    run_id = mlflow.new_run()
    mlflow.client.log_dict(
        run_id, _split([{"class": "cat", "recall": 0.5}, {"class": "dog", "recall": None}]), "classes.json"
    )
    mlflow.client.set_tag(run_id, names.TABLES, json.dumps([{"path": "classes.json", "type": "table"}]))
    with addressed_to(mlflow.home.tracking_uri):
        table = mlflow.client.load_table(mlflow.experiment_id, "classes.json", [run_id])
    assert list(table["class"]) == ["cat", "dog"]


def test_a_model_made_beforehand_lies_with_its_runs_experiment(mlflow: FreshMlflow, tmp_path: Path) -> None:
    file, part = tmp_path / "model.py", tmp_path / "part.txt"
    file.write_text(MODEL, encoding="utf-8")
    part.write_text("weights", encoding="utf-8")
    client, run_id = mlflow.client, mlflow.new_run()
    logged = client.create_logged_model(mlflow.experiment_id, name="model", source_run_id=run_id)
    with addressed_to(mlflow.home.tracking_uri):
        info = Model.log(
            artifact_path=None,
            model_id=logged.model_id,
            flavor=mlflow_pyfunc(),
            run_id=run_id,
            python_model=str(file),
            artifacts={"part": str(part)},
            pip_requirements=["mlflow"],
        )
        client.create_registered_model("tiny")
        made = client.create_model_version(
            "tiny", source=info.model_uri, run_id=run_id, model_id=info.model_id
        )
    folder = Path(client.get_model_version_download_uri("tiny", made.version).removeprefix("file://"))
    assert (folder / "artifacts" / "part.txt").read_text(encoding="utf-8") == "weights"
    assert folder.is_relative_to(mlflow.home.artifacts / "upstream")
    assert made.source.rstrip("/").rpartition("/")[2] == logged.model_id, "a name that no other version has"
    assert client.get_run(run_id).outputs.model_outputs[0].model_id == logged.model_id


def mlflow_pyfunc() -> Any:
    return mlflow.pyfunc


def test_retries_are_read_at_each_call() -> None:
    client, start = MlflowClient(f"http://127.0.0.1:{free_port()}"), time.monotonic()
    with scoped_environment(_ONE_TRY), pytest.raises(MlflowException) as failed:
        client.get_run("0" * 32)
    assert time.monotonic() - start < 20, "left to itself it tries for minutes"
    assert is_worth_retrying(failed.value)


@pytest.mark.parametrize(
    ("error", "is_worth"),
    [
        (DataError("INSERT", {}, sqlite3.DataError("text cannot contain NUL")), False),
        (TimeoutError("QueuePool limit of size 5 overflow 10 reached"), True),
        (OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked")), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_database_says_by_the_class_of_its_error_what_it_refuses(error: Exception, is_worth: bool) -> None:
    session = _get_managed_session_maker(sessionmaker(create_engine("sqlite://")), "sqlite")
    with pytest.raises(MlflowException) as failed, session():
        raise error
    sent = RestException({"error_code": failed.value.error_code, "message": failed.value.message})
    assert is_worth_retrying(failed.value) is is_worth_retrying(sent) is is_worth


def test_a_parameter_is_written_once(mlflow: FreshMlflow) -> None:
    run_id = mlflow.new_run()
    mlflow.client.log_param(run_id, "decision-0001", "mine")
    mlflow.client.log_param(run_id, "decision-0001", "mine")
    for write in (
        lambda: mlflow.client.log_param(run_id, "decision-0001", "yours"),
        lambda: mlflow.client.log_batch(run_id, params=[Param("decision-0001", "yours")]),
    ):
        with pytest.raises(MlflowException):
            write()
    assert mlflow.client.get_run(run_id).data.params == {"decision-0001": "mine"}


def test_an_experiment_is_made_once_with_its_tags(mlflow: FreshMlflow) -> None:
    mlflow.client.create_experiment("decisions/x", tags={"run": "first"})
    with pytest.raises(MlflowException) as refused:
        mlflow.client.create_experiment("decisions/x", tags={"run": "second"})
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert mlflow.client.get_experiment_by_name("decisions/x").tags["run"] == "first"


def test_a_metric_told_twice_is_one(mlflow: FreshMlflow) -> None:
    run_id, told = mlflow.new_run(), [Metric("loss", 0.5, 1_000, 1), Metric("loss", 0.25, 2_000, 2)]
    mlflow.client.log_batch(run_id, metrics=told)
    mlflow.client.log_batch(run_id, metrics=told)
    assert [one.value for one in mlflow.client.get_metric_history(run_id, "loss")] == [0.5, 0.25]


def test_what_is_sent_is_within_mlflows_limits() -> None:
    assert DIGEST_LENGTH <= validation.MAX_DATASET_DIGEST_SIZE
    assert MAX_TAG_CHARACTERS <= validation.MAX_TAG_VAL_LENGTH
    assert PART_LENGTH <= validation.MAX_PARAM_VAL_LENGTH
    assert PARAMS_PER_BATCH <= validation.MAX_PARAMS_TAGS_PER_BATCH
    assert MAX_METRICS_IN_A_CALL <= validation.MAX_METRICS_PER_BATCH
    assert SqlModelVersion.description.type.length >= MAX_DESCRIPTION
    assert SqlRegisteredModel.description.type.length >= MAX_DESCRIPTION
    assert len(names.class_metrics("precision", ["x" * 999])[0]) <= validation.MAX_ENTITY_KEY_LENGTH


@pytest.mark.parametrize(
    ("name", "code"), [("unknown", "RESOURCE_DOES_NOT_EXIST"), ("", "INVALID_PARAMETER_VALUE")]
)
def test_a_model_that_is_not_there_has_a_code(mlflow: FreshMlflow, name: str, code: str) -> None:
    with pytest.raises(MlflowException) as refused:
        mlflow.client.get_registered_model(name)
    assert refused.value.error_code == code


def test_an_address_is_forgotten_again(mlflow: FreshMlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow as library

    before = library.get_tracking_uri(), library.get_registry_uri()
    with addressed_to(mlflow.home.tracking_uri):
        assert library.get_tracking_uri() == library.get_registry_uri() == mlflow.home.tracking_uri
    assert (library.get_tracking_uri(), library.get_registry_uri()) == before


def test_every_switch_is_one_of_mlflows() -> None:
    assert {*_ONE_TRY} == {MLFLOW_HTTP_REQUEST_MAX_RETRIES.name, MLFLOW_HTTP_REQUEST_TIMEOUT.name}
    assert {*_SETTINGS} == {MLFLOW_UV_AUTO_DETECT.name}
    assert MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.name == "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"
    assert MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.name == "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"
    assert MLFLOW_SERVER_ENABLE_JOB_EXECUTION.name == "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"
    assert MLFLOW_DISABLE_TELEMETRY.name == "MLFLOW_DISABLE_TELEMETRY"


def test_the_database_talks_by_a_logger_of_its_own() -> None:
    import mlflow.store.db.utils as database

    assert isinstance(database._logger, logging.Logger)
    assert database._logger.name == "mlflow.store.db.utils"


@pytest.mark.parametrize(
    "library", ["boto3.exceptions", "botocore.exceptions", "s3transfer.exceptions", "urllib3.exceptions"]
)
def test_the_errors_of_stores_come_through_under_their_own_names(library: str) -> None:
    module = pytest.importorskip(library)
    errors = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert any(one.__module__.startswith(_STORE_LIBRARIES) for one in errors)


def test_files_of_a_run_are_deleted_where_they_are_kept(mlflow: FreshMlflow) -> None:
    run_id, other = mlflow.new_run(), mlflow.new_run()
    for one in (run_id, other):
        mlflow.client.log_text(one, "x" * 1000, "folder/a.txt")
    found = _repository(mlflow.client, mlflow.client.get_run(run_id).info.artifact_uri)
    assert _sizes(found) == [1000]
    found.delete_artifacts()
    assert mlflow.client.list_artifacts(run_id) == []
    assert [one.path for one in mlflow.client.list_artifacts(other)] == ["folder"]


def test_the_stored_tables_are_those_that_mlflows_migrations_make(tmp_path: Path) -> None:
    if Version(mlflow.__version__) < TABLES_SINCE:
        pytest.skip("an older MLflow makes its tables by itself")
    theirs, ours = tmp_path / "theirs.db", tmp_path / "ours.db"
    made_by_migrations(theirs)
    assert make_tables(ours), (
        "python -m study.connections.mlflow_tables > study/connections/mlflow_tables.sql"
    )
    assert _parts(ours) == _parts(theirs)
    assert f"VALUES('{last_revision()}')" in "".join(dumped(theirs))


def test_an_mlflow_of_other_tables_makes_them_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.sql"
    other.write_text(mlflow_tables.TABLES.read_text().replace(str(last_revision()), "another"))
    monkeypatch.setattr(mlflow_tables, "TABLES", other)
    assert not make_tables(tmp_path / "mlflow.db")
    assert not (tmp_path / "mlflow.db").exists()


def _parts(file: Path) -> list[list[str]]:
    """The lines of each statement, in an order of our own: that of indexes and of constraints is chance."""
    return sorted(sorted(line.strip(", \t") for line in one.splitlines()) for one in dumped(file))
