"""One real study on real digits, run once with real Ray and real MLflow, that many tests look at."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import TemporaryDirectory

import pytest
from finished_study import SECRET, Finished
from fresh_homes import FreshHomes
from webhook import running_webhook

from cluster.connection import connected
from cluster.scoped_environment import scoped_environment
from study.connections.mlflow_client import connect
from study.driver.running import run_study
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions

SPEC = {
    "study": "digits-e2e",
    "dataset": "digits",
    "search_space": "digits",
    # A learning rate that no training survives shows what becomes of a trial that fails.
    "extend": {"learning_rate": {"float": [3e-4, 1e30], "log": True}},
    "start_from": [{"learning_rate": 1e30}] + [{"learning_rate": rate} for rate in (5e-3, 3e-3, 4e-4, 3e-4)],
    "budget": {"trials": 5, "epochs": 4},
    "early_stopping": {"rule": "asha", "first_rung": 0.5},
}


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A local Ray cluster that all studies of this process run on, one after the other, as in a notebook that
    stays connected.
    """
    with ExitStack() as stack:
        # A folder of this cluster's own, with a short name: sockets lie in it.
        os.environ["RAY_TMPDIR"] = stack.enter_context(
            TemporaryDirectory(prefix="r", ignore_cleanup_errors=True)
        )
        stack.callback(os.environ.pop, "RAY_TMPDIR")
        stack.enter_context(connected())
        yield


@pytest.fixture(scope="session")
def finished(local_ray: None, fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The study `digits-e2e`, finished."""
    home = fresh_homes.make(tmp_path_factory.mktemp("finished"))
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    add_dataset(home.datasets, "digits", None, AddOptions(licence="CC BY 4.0"))
    secrets = dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MY_TOKEN"), SECRET)
    with (
        running_webhook() as webhook,
        scoped_environment({**secrets, "STUDY_NOTIFY": f"{webhook.address}/{SECRET}"}),
    ):
        result = run_study(SPEC, home=home)
    return Finished(home, result, connect(home.tracking_uri), webhook.told)
