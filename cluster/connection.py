"""Connecting to Ray: the cluster that `RAY_ADDRESS` names, or a local one for as long as it is needed."""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from cluster.errors import ClusterError
from cluster.token import has_token, token_file

# Read by Ray when it is imported, so they stand here and are set before that.
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",  # its tables are not silenced by verbose=0
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard copies of what MLflow holds
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` Ray would start each worker through uv, on a copy of the folder
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as a later Ray will do; without it each task warns
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the study's own table says why a trial failed
}


DEFAULT_PORT = 6379
TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What the cluster has in all."""

    num_cpus: float
    num_gpus: float


def check_reachable() -> None:
    """Raises ClusterError, in at most some seconds and without importing Ray, if nothing answers at `RAY_ADDRESS`."""
    address = os.environ.get("RAY_ADDRESS")
    if not address or address in ("auto", "local"):
        return
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        socket.create_connection((parts.hostname or "", parts.port or DEFAULT_PORT), TIMEOUT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Ray cluster answers at RAY_ADDRESS={address} ({error}); start it with `ray start --head`, correct the address, "
            "or unset it to run on this machine"
        ) from None


@contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """A connection to the Ray cluster at `address`, or `RAY_ADDRESS`, or else to a local one that ends with the block.

    A process that is already connected keeps its connection. Raises ClusterError if the address does not answer.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    # A cluster without a token refuses who insists on it. Once Ray is imported it no longer reads this, and asks for one by itself where
    # it starts a cluster of its own.
    if "ray" not in sys.modules and (not address or has_token()):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            ray.init(num_cpus=num_cores(), include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(f"Ray at {address or 'this machine'} does not start or answer: {_first_line(error)}") from error
    _protect_token()
    try:
        yield
    finally:
        ray.shutdown()


def is_shared() -> bool:
    """Whether this process uses a cluster that others use, too, rather than one of its own."""
    return os.environ.get("RAY_ADDRESS", "") not in ("", "local")


def capacity() -> Capacity:
    """What the connected cluster has now."""
    import ray

    resources = ray.cluster_resources()
    return Capacity(num_cpus=resources.get("CPU", 0.0), num_gpus=resources.get("GPU", 0.0))


def num_cores() -> int:
    """Cores of this machine that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def num_gpus() -> int:
    """NVIDIA GPUs of this machine that this process may use, as far as the driver and `CUDA_VISIBLE_DEVICES` say."""
    import pynvml

    try:
        pynvml.nvmlInit()
        there: int = pynvml.nvmlDeviceGetCount()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return there if visible is None else min(there, len([name for name in visible.split(",") if name.strip() not in ("", "-1")]))


def _protect_token() -> None:
    """Ray writes the token that opens the cluster with a mode that lets every user of the machine read it."""
    token = token_file()
    if token.is_file():
        token.chmod(0o600)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
