"""Connecting to Ray: to the cluster that `RAY_ADDRESS` names, or to a local one."""

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from cluster.auth_token import can_have_token, protect_token_file, token_source
from cluster.errors import ClusterError
from cluster.leftovers import noted
from cluster.lifeline import lifeline
from cluster.ray_settings import set_ray_environment
from cluster.termination import terminations_as_interrupts

DEFAULT_PORT = 6379
TIMEOUT_SECONDS = 3.0
NUM_LOCAL_STARTS = 3
"""Ray gives its own processes 30 s to start, which a busy machine may exceed, and which nobody can set."""
_OF_A_CLUSTER = "start it with `ray start --head`, correct RAY_ADDRESS, or unset it to run on this machine"
_OF_A_MACHINE = (
    "free some of its cores or memory and try again; a study that has begun goes on with `study resume NAME`"
)


def _print_error(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def check_reachable() -> None:
    """Raises ClusterError if nothing answers at `RAY_ADDRESS` within 3 s, or if a local cluster could not
    keep its token. Does not import Ray.
    """
    address = os.environ.get("RAY_ADDRESS")
    if (not address or address == "local") and not can_have_token():
        raise ClusterError(
            f"Ray keeps the token of a local cluster at {token_source()}, which cannot be written; set HOME "
            "or RAY_AUTH_TOKEN_PATH to a place that can"
        )
    if not address or address in ("auto", "local"):
        return
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        socket.create_connection((parts.hostname or "", parts.port or DEFAULT_PORT), TIMEOUT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Ray cluster answers at RAY_ADDRESS={address} ({error}); start it with `ray start --head`, "
            "correct the address, or unset it to run on this machine"
        ) from None


@contextmanager
def connected(
    address: str | None = None,
    *,
    noted_in: Path | None = None,
    last_words: Callable[[str], object] = _print_error,
) -> Iterator[None]:
    """A connection to Ray that ends with the block, and a local cluster with it.

    It goes to the cluster at `address`, or else at `RAY_ADDRESS`, or else to a local cluster. A process that
    is already connected keeps its connection. All threads of a process share one connection: one of them
    opens it. The processes of a local cluster are noted in the folder `noted_in`, for whoever comes after a
    death of this one. `last_words` tells a person why this process ends, where the cluster is gone and the
    block cannot be ended. Raises ClusterError if the cluster does not start or answer.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    set_ray_environment(address)
    import ray

    if ray.is_initialized():
        yield
        return
    is_local = address in (None, "", "local")
    with noted(noted_in) if noted_in is not None and is_local else nullcontext():
        _initialize(address)
        protect_token_file()
        try:
            # Ray has put handlers of its own in place.
            with terminations_as_interrupts(), lifeline(ray.get_runtime_context().gcs_address, last_words):
                yield
        finally:
            ray.shutdown()


def is_connected() -> bool:
    """Whether this process is connected to Ray already; does not import it."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def is_shared() -> bool:
    """Whether this process uses a cluster that others may use too, rather than a local one."""
    return os.environ.get("RAY_ADDRESS", "") not in ("", "local")


def num_cores() -> int:
    """Cores of this machine that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def num_gpus() -> int:
    """NVIDIA GPUs of this machine that this process may use, by the driver and `CUDA_VISIBLE_DEVICES`.

    0 where there is no driver.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        num_installed: int = pynvml.nvmlDeviceGetCount()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return num_installed
    return min(num_installed, sum(name.strip() not in ("", "-1") for name in visible.split(",")))


def gpu_kind() -> str | None:
    """What Ray calls the GPUs of this machine that this process may use, such as H100; None without any."""
    if not num_gpus():
        return None
    from ray._private.accelerators.nvidia_gpu import NvidiaGPUAcceleratorManager

    kind: Callable[[], str | None] = NvidiaGPUAcceleratorManager.get_current_node_accelerator_type
    return kind()


def _initialize(address: str | None) -> None:
    num_tries = 1 if address else NUM_LOCAL_STARTS
    for number in range(1, num_tries + 1):
        try:
            _start_or_join(address)
        except Exception as error:  # which is what Ray raises where a node takes too long to start
            if number < num_tries:
                continue
            where = address or f"this machine ({num_tries} tries)"
            raise ClusterError(
                f"Ray at {where} does not start or answer: {_first_line(error)}; "
                + (_OF_A_CLUSTER if address else _OF_A_MACHINE)
            ) from error
        else:
            return


def _start_or_join(address: str | None) -> None:
    import ray

    if address:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        return
    from cluster.lean_node import lean_node

    with lean_node():
        ray.init(
            num_cpus=num_cores(),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
