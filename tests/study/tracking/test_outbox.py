"""What a trial says to MLflow waits on disk, keeps its order, arrives once, and never keeps a trial
waiting.
"""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fresh_homes import FreshHomes
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException, RestException
from mlflow.utils.validation import _validate_metric_name
from run_records import context, ended, epoch, measured, opened, whole_run

from study import names
from study.connections.mlflow_client import connect
from study.home import Home
from study.recipes.point import build_recipe
from study.tracking import outbox as outbox_module
from study.tracking.delivery import Delivery
from study.tracking.log_records import DatasetUsed, Described, Measured, Pictures, Text, from_line, to_line
from study.tracking.outbox import Outbox, is_worth_retrying
from study.tracking.run_log import RunLog, Sent, logs_in
from study.tracking.trial_run import TrialRun
from trainables.datasets.manifest import Manifest
from trainables.recipe.tree import Recipe


@pytest.fixture
def uri(fresh_homes: FreshHomes, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(fresh_homes.mlflow_tables, tmp_path)}"


@pytest.fixture
def client(uri: str) -> Any:
    return connect(uri)


@pytest.fixture
def experiment_id(client: Any, tmp_path: Path) -> str:
    return str(client.create_experiment("digits", artifact_location=(tmp_path / "artifacts").as_uri()))


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "outbox", "trial-0000")


def deliver(log: RunLog, client: Any) -> None:
    """As a process does that finds the log."""
    assert log.lock()
    delivery = Delivery(log, may_exist=True)
    delivery.begin()
    while delivery.take():
        delivery.send(client)
    log.unlock()


def the_run(client: Any, experiment_id: str) -> Any:
    (run,) = client.search_runs([experiment_id])
    return run


def steps(client: Any, run: Any, key: str = "validation/accuracy") -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, key)]


def test_a_record_survives_its_line_and_a_torn_line_is_none() -> None:
    drawn = Pictures(classes=("a", "b"), dataset_folder="/data")
    dataset = DatasetUsed(name="digits", digest="1", source="{}", profile="{}")
    for record in [*whole_run("7"), drawn, dataset, measured(3, float("nan"))]:
        line = to_line(record)
        assert repr(from_line(line)) == repr(record)
        assert from_line(line[:-5]) is None
    assert from_line(b'{"kind": "Unheard"}\n') is None
    assert from_line(b"[1]\n") is None


def test_a_line_that_a_death_tore_takes_no_other_with_it(log: RunLog) -> None:
    log.append(measured(1))
    with (log.folder / "trial-0000.jsonl").open("ab") as file:
        file.write(to_line(measured(2))[:40])
    assert log.records == [measured(1)], "a line may still be under way"
    log.append(measured(3))
    assert log.records == [measured(1), measured(3)]
    assert [record for record, _ in log.read()] == [measured(1), None, measured(3)]


def test_the_lock_is_one_processs_and_ends_with_it(log: RunLog) -> None:
    script = """
import sys, time
from pathlib import Path
from study.tracking.run_log import RunLog
log = RunLog(Path(sys.argv[1]), "trial-0000")
print(log.lock(), flush=True)
time.sleep(60)
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(log.folder)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    assert not log.lock()
    log.append(measured(1))  # who does not hold it may append all the same
    holder.kill()
    holder.wait()
    assert log.lock()
    log.delete()
    assert not RunLog(log.folder, "trial-0000").exists


def test_all_of_a_run_arrives_as_it_was_told(log: RunLog, client: Any, experiment_id: str) -> None:
    dataset = DatasetUsed(name="digits", digest="abc", source="{}", profile="{}")
    log.append(
        *whole_run(experiment_id)[:-1],
        dataset,
        Described(metrics={"cost/seconds": 3.0}, milliseconds=5),
        ended(),
    )
    deliver(log, client)
    run = the_run(client, experiment_id)
    assert (run.info.run_name, run.info.status) == ("trial-0000", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (1000, 99_000), (
        "times are those of the trial, not of the sending"
    )
    assert run.data.params == {"learning_rate": "0.1"}
    assert run.data.tags["device"] == "cpu"
    assert run.data.metrics["cost/seconds"] == 3.0
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["digits"]
    assert steps(client, run) == [(step, step / 100) for step in range(1, 6)]
    assert Path(client.download_artifacts(run.info.run_id, "recipe.yaml")).read_text() == "seed: 1\n"
    assert (log.num_waiting, log.sent.run_id) == (0, run.info.run_id)


def test_a_death_at_any_instant_loses_and_doubles_nothing(
    log: RunLog, client: Any, experiment_id: str
) -> None:
    """Each call is made, and its process dies before it notes the answer."""
    records = whole_run(experiment_id)
    log.append(*records)
    for _ in range(len(records)):
        before = log.sent
        delivery = Delivery(log, may_exist=True)
        delivery.begin()
        if not delivery.take():
            break
        delivery.send(client)
        log.mark(before)
        delivery = Delivery(log, may_exist=True)
        delivery.begin()
        delivery.take()
        delivery.send(client)
    assert log.num_waiting == 0
    run = the_run(client, experiment_id)
    assert run.info.status == "FINISHED"
    assert steps(client, run) == [(step, step / 100) for step in range(1, 6)]


def test_a_log_whose_progress_is_lost_is_told_again_and_changes_nothing(
    log: RunLog, client: Any, experiment_id: str
) -> None:
    log.append(*whole_run(experiment_id))
    deliver(log, client)
    log.forget()
    deliver(log, client)
    assert steps(client, the_run(client, experiment_id)) == [(step, step / 100) for step in range(1, 6)]


def test_an_epoch_that_a_resumed_trial_tells_again_is_sent_once(
    log: RunLog, client: Any, experiment_id: str
) -> None:
    again = Measured(**{**vars(measured(2)), "milliseconds": 77_000})
    log.append(opened(experiment_id), measured(1), measured(2), opened(experiment_id), again, measured(3))
    deliver(log, client)
    log.append(opened(experiment_id), again, measured(4))
    deliver(log, client)
    assert [step for step, _ in steps(client, the_run(client, experiment_id))] == [1, 2, 3, 4]


def test_a_run_of_which_no_log_is_left_goes_on(tmp_path: Path, client: Any, experiment_id: str) -> None:
    first, second = RunLog(tmp_path / "gone", "trial-0000"), RunLog(tmp_path / "outbox", "trial-0000")
    first.append(opened(experiment_id), measured(1), measured(2))
    deliver(first, client)
    second.append(
        opened(experiment_id, may_exist=True),
        Measured(**{**vars(measured(2)), "milliseconds": 77_000}),
        measured(3),
        ended(),
    )
    deliver(second, client)
    assert [step for step, _ in steps(client, the_run(client, experiment_id))] == [1, 2, 3]


def test_what_mlflow_rejects_is_told_and_nothing_else_is_lost(
    log: RunLog, client: Any, uri: str, experiment_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Measured(step=2, phase=1, milliseconds=2000, metrics={"what?!": 1.0})
    changed = Described(params={"learning_rate": "0.2"})
    log.append(
        opened(experiment_id),
        Described(params={"learning_rate": "0.1"}),
        changed,
        measured(1),
        bad,
        measured(3),
        ended(),
    )
    outbox = Outbox(uri).start()
    outbox.leave(outbox.hold(log))
    assert outbox.drain(60)
    run = the_run(client, experiment_id)
    assert [step for step, _ in steps(client, run)] == [1, 3]
    assert (run.data.params, run.info.status) == ({"learning_rate": "0.1"}, "FINISHED")
    assert capsys.readouterr().err.count("MLflow rejected what trial-0000 logged") == 2


def test_telling_never_waits_and_what_was_told_arrives_when_mlflow_is_there(
    tmp_path: Path, log: RunLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE_SECONDS", 0.05)
    not_yet = tmp_path / "not-yet"
    not_yet.write_text("no folder, so no database can be made in it")
    outbox = Outbox(f"sqlite:///{not_yet}/mlflow.db").start()
    start = time.monotonic()
    outbox.hold(log)
    for step in range(1, 101):
        log.append(measured(step))
        outbox.wake()
    assert time.monotonic() - start < 1
    assert not outbox.drain(1)
    assert outbox.trouble is not None
    assert "is not a folder" in outbox.trouble
    assert log.num_waiting == 100
    not_yet.unlink()
    assert outbox.drain(60)
    assert (log.num_waiting, outbox.trouble) == (0, None)


def arrived(client: Any, run_id: str, num: int, within: float) -> bool:
    """Whether so many epochs are in MLflow before the time is over."""
    deadline = time.monotonic() + within
    while len(client.get_metric_history(run_id, "validation/accuracy")) < num:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_epochs_that_follow_each_other_quickly_share_a_call(
    tmp_path: Path, uri: str, client: Any, experiment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "GATHERING_SECONDS", 4.0)
    outbox = Outbox(uri).start()
    run = TrialRun(outbox, context(tmp_path, uri, experiment_id), 0, is_first=True)
    run.open()
    assert outbox.drain(60)
    run.log_epoch(epoch(1), 0.5, {})
    assert run.run_id is not None
    assert arrived(client, run.run_id, 1, within=30), "the first one goes at once"
    num_sent = outbox.num_sent
    for number in range(2, 12):
        run.log_epoch(epoch(number), 0.5, {})
        time.sleep(0.02)
    assert arrived(client, run.run_id, 11, within=30), "nobody asks for them, and they come"
    assert outbox.num_sent <= num_sent + 2, "ten epochs took a call each"


@pytest.mark.parametrize("way", ["leave", "drain", "end"])
def test_epochs_do_not_wait_for_others_when_none_come(
    way: str, tmp_path: Path, uri: str, client: Any, experiment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "GATHERING_SECONDS", 3600.0)
    outbox = Outbox(uri).start()
    run = TrialRun(outbox, context(tmp_path, uri, experiment_id), 0, is_first=True)
    run.open()
    assert outbox.drain(60)
    assert run.run_id is not None
    run.log_epoch(epoch(1), 0.5, {})
    assert arrived(client, run.run_id, 1, within=30)
    run.log_epoch(epoch(2), 0.5, {})
    assert not arrived(client, run.run_id, 2, within=0.5)
    {"leave": run.leave, "drain": lambda: outbox.drain(60), "end": lambda: run.fail("", "")}[way]()
    assert arrived(client, run.run_id, 2, within=30)
    assert outbox.drain(60)


def test_who_lets_go_last_may_add_and_delete(log: RunLog, client: Any, uri: str, experiment_id: str) -> None:
    log.append(opened(experiment_id), measured(1))
    outbox = Outbox(uri).start()

    def on_sent(delivery: Delivery) -> bool:
        if len(delivery.log.records) == 2:
            delivery.log.append(Text(path="last.txt", content="words"))
            return False
        delivery.log.delete()
        return True

    outbox.leave(outbox.hold(log), on_sent)
    assert outbox.drain(60)
    assert not log.exists
    run = the_run(client, experiment_id)
    assert log.sent == Sent(
        offset=log.sent.offset, run_id=run.info.run_id, tags={"study.trial": "trial-0000"}
    )
    assert json.dumps([file.path for file in client.list_artifacts(run.info.run_id)]) == '["last.txt"]'


@pytest.mark.parametrize(
    ("error", "is_worth"),
    [
        (ConnectionError("refused"), True),
        (TimeoutError("slow"), True),
        (MlflowException("database is locked", error_code=2), True),
        (RestException({"error_code": "INTERNAL_ERROR", "message": "oops"}), True),
        (RestException({"error_code": "PERMISSION_DENIED", "message": "your password has expired"}), True),
        (
            RestException(
                {"error_code": "BAD_REQUEST", "message": "QueuePool limit of size 5 overflow 10 reached"}
            ),
            True,
        ),
        (
            RestException(
                {"error_code": "BAD_REQUEST", "message": "(psycopg.DataError) text cannot contain NUL"}
            ),
            False,
        ),
        (RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "param too long"}), False),
        (RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "run deleted"}), False),
        (ValueError("no such class"), False),
    ],
)
def test_what_is_worth_another_try(error: Exception, is_worth: bool) -> None:
    assert is_worth_retrying(error) is is_worth


def test_a_bucket_that_is_away_is_worth_another_try() -> None:
    from botocore.exceptions import ClientError, EndpointConnectionError

    assert is_worth_retrying(EndpointConnectionError(endpoint_url="http://s3"))
    assert is_worth_retrying(ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject"))


def test_a_process_that_never_trains_its_trial_leaves_no_log(
    tmp_path: Path, uri: str, experiment_id: str
) -> None:
    outbox = Outbox(uri).start()
    run = TrialRun(outbox, context(tmp_path, uri, experiment_id), 0, is_first=True)
    run.leave()
    assert outbox.drain(60)
    assert run.run_id is None
    assert logs_in(tmp_path / "outbox") == []


def test_runs_of_trials_say_what_they_are(tmp_path: Path, uri: str, client: Any, experiment_id: str) -> None:
    for told, part in (
        ({}, "One configuration of the study `logging`"),
        (
            {"confirmations": ((7, 2),)},
            "trial-0007 of the study `logging`, trained again with further seed 2",
        ),
    ):
        outbox = Outbox(uri).start()
        run = TrialRun(outbox, context(tmp_path, uri, experiment_id, **told), 0, is_first=True)
        run.open()
        run.leave()
        assert outbox.drain(60)
        assert part in client.get_run(run.run_id).data.tags["mlflow.note.content"]


def test_charts_of_single_classes_come_after_all_others(
    tmp_path: Path, uri: str, client: Any, experiment_id: str, home: Home
) -> None:
    outbox = Outbox(uri).start()
    run = TrialRun(outbox, context(tmp_path, uri, experiment_id), 0, is_first=True)
    classes = ("happy", "..", "名前", "犬猫", "Sad", "sad", "a/b", "a_b", "a-6", "x" * 300)
    manifest = replace(Manifest.read(home.datasets / "digits"), classes=classes)
    recipe = Recipe.from_dict(
        {
            "data": {"image_size": 8},
            "model": {"architecture": "cnn2-32x64"},
            "phases": [{"epochs": 1, "learning_rate": 0.1}],
        }
    )
    run.open()
    run.describe({}, recipe, manifest, "cpu")
    run.log_epoch(
        epoch(1), epoch(1).metrics.accuracy, {names.system_metric("cpu_utilization_percentage"): 1.0}
    )
    run.leave()
    assert outbox.drain(60)
    logged = sorted(client.get_run(run.run_id).data.metrics)
    of_classes = [name for name in logged if name.startswith("within_class/")]
    assert logged[-len(of_classes) :] == of_classes
    assert len(of_classes) == 2 * len(classes), "two classes share a metric"
    assert "within_class/recall/happy" in of_classes


def test_a_trial_that_goes_on_logs_classes_only_of_what_beats_its_best(
    tmp_path: Path, uri: str, client: Any, experiment_id: str, home: Home
) -> None:
    outbox = Outbox(uri).start()
    told, manifest = context(tmp_path, uri, experiment_id), Manifest.read(home.datasets / "digits")
    recipe = build_recipe({"architecture": "cnn2-32x64"}, dataset=manifest, epochs=6, seed=0)
    accuracy = {number: epoch(number).metrics.accuracy for number in range(1, 7)}
    for is_first, numbers, bests in (
        (True, (1, 3, 2), (1, 3, 3)),
        (False, (3, 4, 6), (3, 4, 6)),  # the last epoch of its checkpoint is told again
        (False, (5,), (6,)),
    ):
        run = TrialRun(outbox, told, 0, is_first=is_first)
        run.open()
        run.describe({}, recipe, manifest, "cpu")
        for number, best in zip(numbers, bests, strict=True):
            run.log_epoch(epoch(number), accuracy[best], {})
        run.leave()
        assert outbox.drain(60)
    logged = the_run(client, experiment_id)
    assert [step for step, _ in steps(client, logged, "within_class/recall/3")] == [1, 3, 4, 6]
    assert sorted(step for step, _ in steps(client, logged)) == [1, 2, 3, 4, 5, 6]


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6, unique=True))
def test_every_class_has_a_metric_of_its_own_that_mlflow_takes(classes: list[str]) -> None:
    metrics = names.class_metrics("recall", classes)
    assert len({metric.lower() for metric in metrics}) == len(classes)
    for metric in metrics:
        _validate_metric_name(metric)
