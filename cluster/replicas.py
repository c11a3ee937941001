"""An HTTP application on replicas of a Ray cluster, by Ray Serve, which chooses who answers a request."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from cluster.connection import connected
from cluster.errors import ClusterError

ONGOING_PER_REPLICA = 32
"""Requests that a replica has before another one is wanted: it answers them together."""
MOST_ONGOING = 512
"""Beyond them requests wait in Ray's proxy."""
PATIENCE_SECONDS = 20.0
INSTALL = "install it: uv sync --extra serve"

Build = Callable[[], Any]
"""Makes the ASGI application, in the process of each replica."""


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """How many processes answer, and what each has. Raises ClusterError for what cannot be."""

    least: int = 1
    most: int = 1
    cpus: float = 1
    gpus: float = 0
    """Of one replica; a fraction for several on one GPU."""

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ClusterError(
                f"--replicas must be LEAST:MOST with 1 or more, such as 1:4, got {self.least}:{self.most}"
            )
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise ClusterError(f"--gpus must be a fraction of a GPU or a whole number, got {self.gpus:g}")

    @classmethod
    def of(cls, text: str, *, cpus: float, gpus: float) -> "Replicas":
        """As a person writes them: `4`, or `1:4` for as many as the requests need."""
        least, _, most = text.partition(":")
        if not (least.isdecimal() and (most or least).isdecimal()):
            raise ClusterError(f"--replicas must be a number or LEAST:MOST, such as 1:4, got {text!r}")
        return cls(least=int(least), most=int(most or least), cpus=cpus, gpus=gpus)


def check_installed() -> None:
    """Raises ClusterError where Ray Serve is not installed."""
    try:
        import ray.serve  # noqa: F401
    except ModuleNotFoundError as error:
        raise ClusterError(
            f"Ray Serve is not installed ({error.name} is missing); {INSTALL}, on all machines of the cluster"
        ) from None


@contextmanager
def replicated(build: Build, name: str, replicas: Replicas, *, host: str, port: int) -> Iterator[None]:
    """Inside, the application answers at `host` and `port` of the head, under the path `/`; then it is gone.

    An application of that name that is there already is replaced. Raises ClusterError where Ray Serve does
    not start it.
    """
    check_installed()
    with connected():
        from ray import serve

        try:
            serve.start(
                proxy_location="HeadOnly", http_options={"host": host, "port": port}, logging_config=_quiet()
            )
            serve.run(
                _deployment(build, name, replicas), name=name, route_prefix="/", logging_config=_quiet()
            )
        except (RuntimeError, TimeoutError, ValueError) as error:
            raise ClusterError(f"Ray Serve does not start {name}: {_first_line(error)}") from error
        try:
            _check_answers(host, port)
            yield
        finally:
            serve.delete(name)
            if not serve.status().applications:
                serve.shutdown()  # type: ignore[no-untyped-call]


def _deployment(build: Build, name: str, replicas: Replicas) -> Any:
    from ray import serve

    def application() -> Any:  # a function of its own, which Ray Serve calls in each replica
        return build()

    deployment: Any = serve.deployment(
        serve.ingress(application)(),
        name=name,
        max_ongoing_requests=MOST_ONGOING,
        ray_actor_options={"num_cpus": replicas.cpus, "num_gpus": replicas.gpus},
        autoscaling_config={
            "min_replicas": replicas.least,
            "max_replicas": replicas.most,
            "target_ongoing_requests": ONGOING_PER_REPLICA,
        },
    )
    return deployment.bind()


def _quiet() -> dict[str, Any]:
    return {"log_level": "ERROR", "enable_access_log": False}


def _check_answers(host: str, port: int) -> None:
    """Raises ClusterError where the proxy listens elsewhere, as where Ray Serve ran already."""
    where = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"http://{where}:{port}/live", timeout=5).close()
            return
        time.sleep(0.2)
    raise ClusterError(
        f"nothing answers at {host}:{port}: Ray Serve may run on this cluster with another address already, "
        "which --host and --port must name"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
