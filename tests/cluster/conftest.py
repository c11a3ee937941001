"""One real Ray cluster with an MLflow server, an object store and shared storage, used in turn by all
tests.
"""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from fresh_homes import FreshHomes
from laptop import PATIENCE_SECONDS, Laptop
from mlflow_server import end_server
from ports import free_port
from real_cluster import RealCluster
from s3_server import S3

NUM_TRIES = 5


@pytest.fixture(scope="session")
def laptop(
    fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory, s3_endpoint: S3
) -> Iterator[Laptop]:
    """A cluster of a head and a node, three logical CPUs together, which has the dataset digits."""
    folder = tmp_path_factory.mktemp("cluster")
    home = fresh_homes.make(folder / "shared", with_digits=True)
    (home.folder / "mlflow.db").rename(folder / "mlflow.db")
    server, address = _start_mlflow(folder)
    policy = folder / "queue.yaml"
    policy.write_text("everybody: {max_priority: 5}\n")
    cluster = RealCluster.with_token(
        STUDY_HOME=str(folder / "shared"),
        STUDY_CACHE=str(folder / "cache"),
        STUDY_QUEUE_POLICY=str(policy),
        **s3_endpoint.environment,
    )
    try:
        cluster.start_head(cpus=1)
        cluster.add_node(cpus=2)
        yield Laptop(cluster=cluster, home=home, mlflow=address, folder=folder)
    finally:
        cluster.close()
        end_server(server)


def _start_mlflow(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    for _ in range(NUM_TRIES):
        port = free_port()
        environment = {
            **os.environ,
            "STUDY_HOME": str(folder / "mlflow"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        }
        command = [sys.executable, "-c", "from study.cli.main import main; main()", "ui", "--port", str(port)]
        with (folder / "mlflow.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
            except OSError:
                time.sleep(0.2)
            else:
                return process, address
    raise AssertionError((folder / "mlflow.log").read_text(errors="replace")[-2000:])
