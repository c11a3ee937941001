"""Who may promote on the MLflow server of the deployment files: the rights that the operations page grants
suffice, one that lacks is named before anything is written, and readers read.
"""

import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from deployment_files import ROOT
from deployment_servers import MlflowServer

from study import names
from study.connections.mlflow_account import AS_TOLD, VERIFIED, Identity, identify
from study.connections.mlflow_client import connect
from study.errors import TrackingError
from study.home import Home
from study.registry.promotion import alias_remarks, history, promote, rollback, versions_with_files
from study.study_file.promotion_rules import PromotionRules

PASSWORD = "at least 12 characters"
MODEL = "guarded"


class Accounts:
    """People on the server; each acts by the environment of this process."""

    def __init__(self, server: MlflowServer, home: Home, patch: pytest.MonkeyPatch) -> None:
        self._server, self._home, self._patch = server, home, patch

    def admin(self, method: str, path: str, body: dict[str, str]) -> None:
        request = Request(f"{self._server.address}/api/{path}", json.dumps(body).encode(), method=method)
        login = b64encode(f"admin:{self._server.admin_password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        request.add_header("Content-Type", "application/json")
        urlopen(request, timeout=30).close()

    def add(self, name: str, *grants: tuple[str, str]) -> None:
        """A person with the permission EDIT on each of the resources."""
        self.admin("POST", "2.0/mlflow/users/create", {"username": name, "password": PASSWORD})
        for kind, resource in grants:
            self.admin(
                "POST",
                "3.0/mlflow/users/permissions/grant",
                {"username": name, "resource_type": kind, "resource_id": resource, "permission": "EDIT"},
            )

    def be(self, name: str, password: str = PASSWORD) -> None:
        self._patch.setenv("MLFLOW_TRACKING_URI", self._server.address)
        self._patch.setenv("MLFLOW_TRACKING_USERNAME", name)
        self._patch.setenv("MLFLOW_TRACKING_PASSWORD", password)


def register_three(client: Any, model: str) -> str:
    """Versions 1 to 3 as a study registers them, without files; the id of their experiment."""
    experiment_id = str(client.create_experiment(names.experiment_name(model)))
    client.create_registered_model(model, tags={})
    tags = {
        names.STUDY: "by-hand",
        names.OBJECTIVE: "accuracy",
        names.TEST_ACCURACY: "0.9",
        names.TEST_ACCURACY_INTERVAL: "0.8 to 1.0",
        names.PROMOTION: PromotionRules().model_dump_json(),
    }
    for _ in range(3):
        run_id = client.create_run(experiment_id).info.run_id
        client.create_model_version(model, f"runs:/{run_id}/model", run_id, tags=tags)
    return experiment_id


def aliases(client: Any, model: str) -> dict[str, int]:
    return {alias: int(number) for alias, number in client.get_registered_model(model).aliases.items()}


@pytest.mark.slow
def test_who_may_promote(
    mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    accounts = Accounts(mlflow_server, home, monkeypatch)
    study_password = mlflow_server.settings["MLFLOW_TRACKING_PASSWORD"]
    accounts.be("study", study_password)
    client = connect(mlflow_server.address)
    experiment_id = register_three(client, MODEL)
    accounts.add("reader")
    accounts.add("without-experiment", ("registered_model", MODEL))
    accounts.add("without-model", ("experiment", experiment_id))
    accounts.add("editor", ("experiment", experiment_id), ("registered_model", MODEL))

    def refused(name: str, right: str) -> None:
        accounts.be(name)
        with pytest.raises(TrackingError, match=rf"refuses '{name}': this needs EDIT on the {right}"):
            promote(home, MODEL, 1)

    refused("reader", f"registered model '{MODEL}'")
    refused("without-model", f"registered model '{MODEL}'")
    refused("without-experiment", f"experiment '{MODEL}'")
    assert history(home, MODEL).decisions == (), "who may not promote leaves no decision"
    assert "champion" not in aliases(client, MODEL)

    accounts.be("editor")
    assert promote(home, MODEL, 1).decision.kind == "promoted"
    assert promote(home, MODEL, 3, force=True, reason="a test").decision.kind == "promoted"
    assert aliases(client, MODEL) == {"champion": 3, "previous": 1, "candidate": 3}
    assert rollback(home, MODEL).decision.version == 1
    assert aliases(client, MODEL) == {"champion": 1, "previous": 3, "candidate": 3}
    for name, right in (("reader", "registered model"), ("without-experiment", "experiment")):
        accounts.be(name)
        with pytest.raises(TrackingError, match=f"this needs EDIT on the {right} '{MODEL}'"):
            rollback(home, MODEL) if name == "reader" else promote(
                home, MODEL, 2, force=True, reason="a test"
            )

    accounts.be("study", study_password)
    client.set_registered_model_alias(MODEL, "champion", "3")
    accounts.be("reader")
    assert [one.version for one in history(home, MODEL).decisions] == [1, 3, 1]
    assert [version.number for version, _ in versions_with_files(home, MODEL)] == [3, 2, 1]
    (remark,) = alias_remarks(home, MODEL)
    assert f"by the decisions champion is {MODEL}/1" in remark, "as where a decision did not reach the alias"
    assert aliases(client, MODEL)["champion"] == 3, "reading writes nothing"


def test_the_operations_page_grants_what_promotion_needs() -> None:
    page = (ROOT / "cluster" / "OPERATIONS.md").read_text()
    grants = re.findall(r'"resource_type": "(\w+)".*?"permission": "(\w+)"', page)
    assert grants == [("registered_model", "EDIT"), ("experiment", "EDIT")]


@pytest.mark.slow
def test_the_account_says_whose_a_study_is(
    mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = Accounts(mlflow_server, Home(tmp_path / "home"), monkeypatch)
    monkeypatch.setenv("STUDY_USER", "whoever")
    accounts.be("study", mlflow_server.settings["MLFLOW_TRACKING_PASSWORD"])
    assert identify(mlflow_server.address) == Identity(user="study", source=VERIFIED)
    accounts.be("study", "not-its-password")
    assert identify(mlflow_server.address) == Identity(user="whoever", source=AS_TOLD)
