"""Studies on a real Ray cluster: of two people, side by side, through the death of a node and of the head."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml
from laptop import PATIENCE_SECONDS, Laptop
from PIL import Image
from s3_server import BUCKET, S3
from sklearn.datasets import load_digits

from study.connections.mlflow_client import connect
from study.names import USER
from study.results.study_result import StudyResult
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.published import push_dataset

SPACE = """
from search_spaces.dimensions import Choice, Float
from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="own", about="A person's own.", dimensions=(Choice(name="architecture", options=("cnn2-32x64",)),
    Float(name="learning_rate", low={low}, high={high}, log=True)),
)
"""

UNSTOPPED = {"rule": "none"}
"""No rule ends a trial before its last epoch."""


pytestmark = pytest.mark.slow  # a head, a node, a server and an object store start for them


@pytest.fixture(autouse=True)
def _token(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in laptop.cluster.client_environment.items():
        monkeypatch.setenv(name, value)


def write_study(laptop: Laptop, name: str, **options: object) -> str:
    """A study file, and the path that `study submit` takes."""
    spec = {
        "study": name,
        "dataset": "digits",
        "search_space": "digits",
        "budget": {"trials": 2, "epochs": 2},
        "early_stopping": "none",
    }
    file = laptop.folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({**spec, **options}))
    return str(file)


def write_space(laptop: Laptop, folder: str, low: float) -> str:
    """A search space in a file that is called as everybody's, for rates from `low` to twice that."""
    file = laptop.folder / folder / "space.py"
    file.parent.mkdir()
    file.write_text(SPACE.format(low=low, high=2 * low))
    return f"{file}:SPACE"


def write_images(folder: Path) -> Path:
    """Three hundred digits of three classes, as PNG files."""
    digits = load_digits(n_class=3)
    for index, (pixels, label) in enumerate(zip(digits.images[:300], digits.target[:300], strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype("uint8")).save(folder / str(label) / f"{index}.png")
    return folder


def wait_until(holds: Callable[[], bool], what: str, every: float = 0.3) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(every)


def wait_for_end(laptop: Laptop, name: str) -> StudyResult:
    """The study, once its latest job has ended well."""

    def has_ended() -> bool:
        (job,) = json.loads(laptop.study("status", name, "--json").stdout)
        assert job["state"] in ("queued", "starting", "running", "stopping", "ended"), laptop.study(
            "logs", name
        ).stdout[-3000:]
        return bool(job["state"] == "ended")

    # Each look is a process that takes a second of a core from the studies.
    wait_until(has_ended, f"{name} does not end", every=4)
    return StudyResult.read(laptop.home.studies / name)


def num_epochs(laptop: Laptop, name: str) -> int:
    """Epochs that the study has recorded."""
    folder = laptop.home.studies / name
    if not (folder / "study.yaml").exists():
        return 0
    return sum(len(trial.values) for trial in StudyResult.read(folder).trials)


def check_trials(result: StudyResult, num_trials: int) -> None:
    """All came to their end with all their epochs, and none is blamed for what was killed."""
    assert result.final is not None
    assert len(result.trials) == num_trials
    assert any(trial.state == "complete" for trial in result.trials)
    for trial in result.trials:
        assert (trial.state in ("complete", "pruned"), trial.retries) == (True, ()), trial.reason
        assert sorted(trial.values) == list(range(1, len(trial.values) + 1))
        assert len(trial.values) >= result.spec.budget.epochs - (trial.state == "pruned")


def check_that_nothing_changed(before: StudyResult, result: StudyResult) -> None:
    for trial in before.trials:
        assert dict(trial.values).items() <= dict(result.trials[trial.number].values).items(), (
            "a measured epoch changed"
        )


def check_runs(laptop: Laptop, result: StudyResult, user: str) -> None:
    """Every trial has one run of its own study, each epoch at most once.

    A trial that goes on logs its last epoch again.
    """
    client = connect(laptop.mlflow)
    parent = client.get_run(str(result.run_id))
    assert (parent.info.status, parent.data.tags[USER]) == ("FINISHED", user)
    runs = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{result.run_id}'")
    assert sorted(run.info.run_id for run in runs) == sorted(str(trial.run_id) for trial in result.trials)
    for run in runs:
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "validation/macro_f1")]
        assert sorted(set(steps)) == sorted(result.trials[int(run.data.tags["study.trial"])].values)
        assert len(steps) <= len(set(steps)) + 1, "a trial began again from its first epoch"


def refused(laptop: Laptop, file: str, **options: str) -> str:
    begun = time.monotonic()
    asked = [
        word for name in ("home", "priority") if name in options for word in (f"--{name}", options.pop(name))
    ]
    done = laptop.study("submit", file, *asked, **options)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert time.monotonic() - begun < 90, "busy machines take tens of seconds, idle ones some"
    return done.stderr


def test_what_the_cluster_has_against_a_study_is_one_message(laptop: Laptop) -> None:
    on_gpus = write_study(laptop, "on-gpus", resources={"gpus_per_trial": 1})
    assert "resources.gpus_per_trial asks for 1" in refused(laptop, on_gpus)
    assert "STUDY_HOME=/proc/nowhere cannot be written" in refused(laptop, on_gpus, home="/proc/nowhere")
    assert "MLFLOW_TRACKING_URI is not set" in refused(laptop, on_gpus, MLFLOW_TRACKING_URI="")
    assert "MLflow at http://127.0.0.1:1 does not answer" in refused(
        laptop, on_gpus, MLFLOW_TRACKING_URI="http://127.0.0.1:1"
    )
    assert "refuses the token in RAY_AUTH_TOKEN" in refused(laptop, on_gpus, RAY_AUTH_TOKEN="0" * 64)
    assert "asks for its token" in refused(laptop, on_gpus, RAY_AUTH_TOKEN_PATH="/nowhere")
    assert not (laptop.home.studies / "on-gpus").exists()
    assert "on-gpus" not in laptop.study("status").stdout, "nothing is half-submitted"
    assert "knows no job of a study 'on-gpus'" in laptop.study("logs", "on-gpus").stderr


def test_four_studies_of_two_people_while_a_node_comes_and_dies(
    laptop: Laptop, s3_endpoint: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_endpoint.environment.items():
        monkeypatch.setenv(name, value)
    add_dataset(laptop.folder / "bens", "others", write_images(laptop.folder / "images"), AddOptions())
    published = push_dataset(laptop.folder / "bens", "others", f"s3://{BUCKET}/cluster")
    lows = {"ada-1": 1e-4, "ada-2": 1e-3, "ben-1": 1e-2, "ben-2": 3e-3}
    files = {
        name: write_study(
            laptop,
            name,
            dataset="digits" if name.startswith("ada") else published,
            search_space=write_space(laptop, name, low),
            budget={"trials": 2, "epochs": 200},
            early_stopping=UNSTOPPED,
        )
        for name, low in lows.items()
    }
    users = {name: name.split("-")[0] for name in lows}
    submitting = {name: laptop.start("submit", file, user=users[name]) for name, file in files.items()}
    for process in submitting.values():
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, out + err
        assert "dashboard   http://127.0.0.1" in out
    again = laptop.study("submit", files["ada-1"], user="ben")
    assert (again.returncode, "runs already on" in again.stderr, "by ada" in again.stderr) == (2, True, True)
    assert "once it was asked to stop, wait until study status says that it has ended" in again.stderr

    queue: list[dict[str, object]] = []

    def shows_two_trials() -> bool:
        """A trial that ends leaves its slot to one that starts: between the two, nothing runs."""
        queue[:] = json.loads(laptop.study("queue", "--json").stdout)
        return sum(int(str(one["num_running"])) for one in queue) >= 2

    with laptop.cluster.doomed_node(cpus=2) as node:
        wait_until(
            lambda: _trains_on(node) and all(num_epochs(laptop, name) for name in lows),
            "no trial trains on the new node",
        )
        wait_until(shows_two_trials, "the queue shows no two trials")
    assert {(one["tenant"], one["user"]) for one in queue} <= {(name, users[name]) for name in lows}

    results = {name: wait_for_end(laptop, name) for name in lows}
    shown = json.loads(laptop.study("list", "--json").stdout)
    states = {study["study"]: study["state"] for study in shown}
    assert {name: states[name] for name in lows} == dict.fromkeys(lows, "finished")
    for name, result in results.items():
        low = lows[name]
        assert all(low <= float(trial.point["learning_rate"]) <= 2 * low for trial in result.trials), (
            "another study's space"
        )
        check_trials(result, num_trials=2)
        check_runs(laptop, result, users[name])
    client = connect(laptop.mlflow)
    digests = {name: client.get_run(str(results[name].run_id)).data.tags["dataset.digest"] for name in lows}
    assert digests["ben-1"] == digests["ben-2"] != digests["ada-1"]
    assert len(list((laptop.folder / "cache").glob("*/others/train.arrow"))) == 1


def test_four_tenants_have_equal_shares(laptop: Laptop) -> None:
    """Three slots for sleeping tasks, so that one is always left over.

    Of people who used nothing yet: otherwise the one who had less gets more.
    """
    script = str(Path(__file__).parent / "sleeping_tenants.py")
    tenants = ["cy/c1", "cy/c2", "dee/d1", "dee/d2"]
    command = [
        sys.executable,
        script,
        "--address",
        laptop.cluster.gcs_address,
        "--cpus",
        "3",
        "--seconds",
        "40",
        *tenants,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    shares = json.loads(done.stdout.splitlines()[-1])
    assert shares["cy/c1"] + shares["cy/c2"] == pytest.approx(0.5, rel=0.1), shares
    assert all(share == pytest.approx(0.25, rel=0.2) for share in shares.values()), shares


def test_stopped_and_resumed_from_the_laptop(laptop: Laptop) -> None:
    file = write_study(
        laptop,
        "phoenix",
        budget={"trials": 2, "epochs": 400},
        early_stopping=UNSTOPPED,
        seed=5,
        tags={"owner": "ada"},
    )
    assert laptop.study("submit", file, "--priority", "3").returncode == 0
    wait_until(lambda: num_epochs(laptop, "phoenix") > 3, "nothing trains")
    refused = laptop.study("stop", "phoenix", user="ben")
    assert (refused.returncode, "is ada's, and you are ben" in refused.stderr) == (2, True), refused.stderr
    stopped = laptop.study("stop", "phoenix", "--yes", user="ben")
    assert (stopped.returncode, "go on with: study resume phoenix" in stopped.stdout) == (0, True), (
        stopped.stderr
    )
    before = wait_for_end(laptop, "phoenix")
    assert not before.has_ended
    (job,) = json.loads(laptop.study("status", "phoenix", "--json").stdout)
    assert (job["user"], job["says"]) == ("ada", "stopped; nothing measured is lost")
    assert "stops once its running trials have ended their epochs" in laptop.study("logs", "phoenix").stdout

    resumed = laptop.study("resume", "phoenix", "--yes", user="ben")
    assert resumed.returncode == 0, resumed.stderr
    (job,) = json.loads(laptop.study("status", "phoenix", "--json").stdout)
    assert (job["user"], job["priority"]) == ("ada", 3), "who resumes a study does not own it"
    result = wait_for_end(laptop, "phoenix")
    again = laptop.study("resume", "phoenix")
    assert (again.returncode, "phoenix has finished, and nothing was left to do" in again.stdout) == (0, True)
    assert result.has_ended
    check_trials(result, num_trials=2)
    check_runs(laptop, result, "ada")
    check_that_nothing_changed(before, result)
    wait_until((laptop.home.studies / "phoenix" / "report.html").exists, "it makes no report")
    found = json.loads(laptop.study("list", "--tag", "owner=ada", "--json").stdout)
    assert [one["study"] for one in found] == ["phoenix"]


def test_a_study_outlives_the_head(laptop: Laptop) -> None:
    file = write_study(laptop, "ashes", budget={"trials": 2, "epochs": 150}, early_stopping=UNSTOPPED, seed=5)
    assert laptop.study("submit", file).returncode == 0
    wait_until(lambda: num_epochs(laptop, "ashes") > 3, "nothing trains")
    laptop.cluster.kill_all()
    dead = laptop.study("status", "ashes")
    assert (dead.returncode, "no Ray cluster answers at" in dead.stderr) == (2, True)

    before = StudyResult.read(laptop.home.studies / "ashes")
    laptop.cluster.start_head(cpus=1)
    laptop.cluster.add_node(cpus=2)
    assert (
        "knows no job of a study 'ashes' since its head was started" in laptop.study("status", "ashes").stderr
    )
    assert "of 2 trials ended" in laptop.study("list").stdout
    resumed = laptop.study("resume", "ashes")
    assert resumed.returncode == 0, resumed.stderr
    result = wait_for_end(laptop, "ashes")
    assert result.has_ended
    check_trials(result, num_trials=2)
    check_that_nothing_changed(before, result)


def _trains_on(node: subprocess.Popen[bytes]) -> bool:
    try:
        return any(
            "Trainable.train" in " ".join(child.cmdline())
            for child in psutil.Process(node.pid).children(recursive=True)
        )
    except psutil.NoSuchProcess:
        return False


def test_a_study_file_that_is_wrong_is_refused_here(laptop: Laptop, tmp_path: Path) -> None:
    """Without a word to the cluster: it may be down."""
    nowhere = {"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1"}
    assert "unknown search space 'digit'" in refused(
        laptop, write_study(laptop, "wrong", search_space="digit"), **nowhere
    )
    assert "cannot be loaded" in refused(
        laptop, write_study(laptop, "wrong", search_space=f"{tmp_path}/no.py:SPACE"), **nowhere
    )
    good = write_study(laptop, "good")
    assert "as its nodes cannot share a file" in refused(
        laptop, good, MLFLOW_TRACKING_URI="sqlite:///mlflow.db", **nowhere
    )
    assert "holds a password" in refused(
        laptop, good, MLFLOW_TRACKING_URI="http://ada:secret@127.0.0.1:5000", **nowhere
    )
    assert "whole path of a folder" in refused(laptop, good, home="shared", **nowhere)
    assert "no Ray cluster answers at http://127.0.0.1:1" in refused(laptop, good, **nowhere)
