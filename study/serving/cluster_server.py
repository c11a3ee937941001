"""`study serve --on-cluster`: the same application on replicas of a Ray cluster."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cluster.replicas import Replicas, check_installed, replicated
from study.connections.model_registry import registry_of
from study.errors import SpecError
from study.home import Home
from study.registry.versions import Version, find_version
from study.serving.access import read_token
from study.serving.composition import Serving, check_serving
from study.serving.local_server import check_token

URI_VARIABLE = "MLFLOW_TRACKING_URI"

Started = Callable[[Version, str], None]
"""Hears which version answers from now on, and at which address."""


def serve_on_cluster(
    serving: Serving, replicas: Replicas, host: str, port: int, token_file: Path | None, started: Started
) -> None:
    """Answers requests by replicas until Ctrl-C or SIGTERM; each follows the registry by itself.

    Raises SpecError or UnknownModelError for what a person got wrong, ClusterError where Ray Serve is not
    installed or does not start.
    """
    check_token(host, token_file)
    check_serving(serving)
    if serving.record is not None:
        raise SpecError(
            "--record keeps a sample on one machine, and replicas run on several; leave out --on-cluster or "
            "--record"
        )
    check_installed()
    if token_file is not None:
        serving = replace(serving, token=read_token(token_file))
    with registry_of(Home(serving.home)) as client:
        version = find_version(client, serving.model)
    port = port or _free_port(host)
    build = partial(
        build_replica,
        serving,
        os.environ.get(URI_VARIABLE),
        num_cores=int(replicas.cpus),
        has_gpu=replicas.gpus > 0,
    )
    with (
        suppress(KeyboardInterrupt),
        replicated(build, f"study-{version.model}", replicas, host=host, port=port),
    ):
        started(version, f"http://{host}:{port}")
        threading.Event().wait()


def build_replica(serving: Serving, tracking_uri: str | None, *, num_cores: int, has_gpu: bool) -> Any:
    """The application, in the process of a replica; the address of MLflow comes along where it was named."""
    if tracking_uri is not None:
        os.environ[URI_VARIABLE] = tracking_uri
    if not has_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves it as it is for who asks for none
    from study.serving.composition import compose, use_own_threads

    serving = replace(serving, num_threads=serving.num_threads or num_cores)
    use_own_threads(serving, num_cores)
    return compose(serving, num_cores).app


def _free_port(host: str) -> int:
    with closing(socket.socket()) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
