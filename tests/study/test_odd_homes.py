"""A STUDY_HOME or a HOME that cannot be used is told at once, in one message."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.connection import check_reachable as check_ray
from cluster.errors import ClusterError
from study.connections.mlflow_client import check_reachable
from study.errors import TrackingError
from study.home import Home

NOBODY = 65534


def as_somebody_without_rights(call: Callable[[], None]) -> str:
    """The text of the error that `call` raises; root may write everywhere."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            if os.getuid() == 0:
                os.setuid(NOBODY)
            call()
        except (TrackingError, ClusterError) as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.wait()
    with open(reader, "rb") as told:
        return told.read().decode()


@pytest.mark.parametrize("name", ["a?b", "a%20b", "%"])
def test_a_home_that_an_address_cannot_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(TrackingError, match=r"cannot name a folder with '[?%]'; choose another folder"):
        _ = Home(tmp_path / name).tracking_uri
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert Home(tmp_path / name).tracking_uri == "http://server"


def test_a_home_that_is_read_only(tmp_path: Path) -> None:
    home = Home(Path("/") / "home-that-nobody-can-make")
    assert "is read-only for you" in as_somebody_without_rights(lambda: check_reachable(home.tracking_uri))
    (tmp_path / "mlflow.db").touch()
    check_reachable(Home(tmp_path).tracking_uri)


def test_a_home_of_ray_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home-that-nobody-can-make")
    told = as_somebody_without_rights(check_ray)
    assert "Ray keeps the token of a local cluster at /home-that-nobody-can-make/.ray/auth_token" in told
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 32)
    check_ray()
