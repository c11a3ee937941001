"""Two MLflow servers of the deployment files on one PostgreSQL: whichever of them answers, runs, models and
accounts are the same.
"""

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "study"))
from deployment_servers import MlflowServer, replica
from fresh_homes import FreshHomes
from postgres_server import PostgresServer
from run_records import context, epoch
from test_mlflow_accounts import EXPERIMENTS, as_admin, status
from test_promotion_with_accounts import aliases, register_three

from study.connections.mlflow_client import connect, prepare_experiment
from study.home import Home
from study.recipes.point import build_recipe
from study.registry.promotion import history
from study.tracking.outbox import Outbox
from study.tracking.run_log import logs_in
from study.tracking.trial_run import TrialRun
from trainables.datasets.manifest import Manifest

pytestmark = pytest.mark.slow

SECONDS_OF_A_PASSWORD = 60
"""For which a server remembers a password: `auth_cache_ttl_seconds` of mlflow_auth.ini."""
BY_NAME = "/api/2.0/mlflow/experiments/get-by-name?experiment_name="
MODEL = "promoted"
PROMOTES = """
import sys
from pathlib import Path
from study.errors import ConflictError
from study.home import Home
from study.registry.promotion import promote
try:
    outcome = promote(Home(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3]), force=True, reason="a test")
    print(outcome.decision.kind)
except ConflictError:
    print("told of the other")
"""


@pytest.fixture(scope="module")
def addresses(
    mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    with replica(mlflow_server, tmp_path_factory.mktemp("replica")) as second:
        yield mlflow_server.address, second


@pytest.fixture(autouse=True)
def _as_a_node(mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, mlflow_server.settings[name])


def test_a_trial_goes_on_through_the_other_server(
    addresses: tuple[str, str], fresh_homes: FreshHomes, tmp_path: Path
) -> None:
    home = fresh_homes.make(tmp_path, with_digits=True)
    clients = [connect(address) for address in addresses]
    with ThreadPoolExecutor(8) as studies:  # all of them are the first on their dataset
        made = set(studies.map(lambda index: prepare_experiment(clients[index % 2], home, "both"), range(8)))
    (experiment_id,) = made
    manifest = Manifest.read(home.datasets / "digits")
    recipe = build_recipe({"architecture": "cnn2-32x64"}, dataset=manifest, epochs=6, seed=0)
    parent = clients[0].create_run(experiment_id).info.run_id
    for is_first, numbers, address in ((True, (1, 2, 3), addresses[0]), (False, (3, 4, 5), addresses[1])):
        outbox = Outbox(address).start()
        told = context(tmp_path, address, experiment_id, parent_run_id=parent)
        runs = [TrialRun(outbox, told, number, is_first=is_first) for number in range(4)]
        for run in runs:
            run.open()
            run.describe({}, recipe, manifest, "cpu")
            for number in numbers:
                run.log_epoch(epoch(number), epoch(number).metrics.accuracy, {})
            run.leave()
        assert outbox.drain(120)
        outbox.close()
        for log in logs_in(tmp_path / "outbox"):  # who goes on finds the runs by their tags alone
            log.delete()
            log.forget()
    for client in clients:
        runs = client.search_runs([experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
        assert len(runs) == 4, "a trial has two runs"
        for run in runs:
            points = client.get_metric_history(run.info.run_id, "train/loss")
            assert [point.step for point in points] == [1, 2, 3, 4, 5]


def test_versions_and_champions_are_the_same_through_both(
    addresses: tuple[str, str], mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [connect(address) for address in addresses]
    register_three(clients[0], MODEL)
    before = {int(one.version) for one in clients[1].search_model_versions(f"name = '{MODEL}'")}
    source = clients[1].search_model_versions(f"name = '{MODEL}'")[0]

    def add(client: Any) -> int:
        made = client.create_model_version(MODEL, source.source, source.run_id, tags=source.tags)
        return int(made.version)

    with ThreadPoolExecutor(2) as studies:
        added = list(studies.map(add, clients * 3))
    assert sorted(added) == [max(before) + index for index in range(1, 7)], "each has a number of its own"

    def promote_at_once(*versions: int) -> list[str]:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", PROMOTES, str(tmp_path), MODEL, str(version)],
                env={**mlflow_server.environment, **mlflow_server.settings, "MLFLOW_TRACKING_URI": address},
                stdout=subprocess.PIPE,
                text=True,
            )
            for version, address in zip(versions, addresses, strict=True)
        ]
        return [process.communicate(timeout=300)[0].strip() for process in processes]

    monkeypatch.setenv("MLFLOW_TRACKING_URI", addresses[0])
    known = len(history(Home(tmp_path), MODEL).decisions)
    outcomes = promote_at_once(added[0], added[1]) + promote_at_once(added[2], added[3])
    assert set(outcomes) <= {"promoted", "told of the other"}
    told = []
    for address, client in zip(addresses, clients, strict=True):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        decisions = history(Home(tmp_path), MODEL).decisions
        assert len(decisions) - known == outcomes.count("promoted")
        for earlier, later in pairwise(decisions):
            assert later.champion_before == earlier.champion_after, "nobody was overrun"
        assert aliases(client, MODEL)["champion"] == decisions[-1].version
        told.append(decisions)
    assert told[0] == told[1]


def test_an_account_is_one_at_both_and_a_deleted_one_goes_within_a_minute(
    addresses: tuple[str, str], mlflow_server: MlflowServer
) -> None:
    login = ("visitor", "at least 12 characters")
    body = {"username": login[0], "password": login[1]}
    as_admin(mlflow_server, "POST", "2.0/mlflow/users/create", body)
    assert [status(address, EXPERIMENTS, *login) for address in addresses] == [200, 200]
    as_admin(mlflow_server, "DELETE", "2.0/mlflow/users/delete", {"username": login[0]})
    assert status(addresses[0], EXPERIMENTS, *login) == 401, "the one that deleted it"
    deadline = time.monotonic() + SECONDS_OF_A_PASSWORD + 30
    while status(addresses[1], EXPERIMENTS, *login) != 401:
        assert time.monotonic() < deadline, "the other one still lets it in"
        time.sleep(1)


def test_servers_that_start_at_once_on_an_empty_database_come_up(
    mlflow_server: MlflowServer, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Each makes the tables, and one may end over those of the other: Kubernetes starts it again."""
    postgres.execute("CREATE DATABASE mlflow_empty")
    accounts = tmp_path / "auth.ini"
    of_accounts = Path(mlflow_server.environment["MLFLOW_AUTH_CONFIG_PATH"]).read_text()
    accounts.write_text(of_accounts.replace("///mlflow", "///mlflow_empty"))
    empty = replace(
        mlflow_server,
        command=tuple(word.replace("///mlflow", "///mlflow_empty") for word in mlflow_server.command),
        environment={**mlflow_server.environment, "MLFLOW_AUTH_CONFIG_PATH": str(accounts)},
    )
    deadline = time.monotonic() + 300

    def start(number: int) -> tuple[str, int]:
        """Its address, and how often it ended before it came up."""
        for tries in itertools.count():
            try:
                return stack.enter_context(replica(empty, tmp_path / f"{number}-{tries}")), tries
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
        raise AssertionError("unreachable")

    with ExitStack() as stack:
        with ThreadPoolExecutor(2) as pods:
            started = list(pods.map(start, range(2)))
        assert sum(tries for _, tries in started) <= 3, started
        (first, _), (second, _) = started
        admin = ("admin", mlflow_server.admin_password)
        assert [status(address, EXPERIMENTS, *admin) for address in (first, second)] == [200, 200]
        as_admin(
            replace(empty, address=first), "POST", "2.0/mlflow/experiments/create", {"name": "made-by-one"}
        )
        assert status(second, f"{BY_NAME}made-by-one", *admin) == 200
