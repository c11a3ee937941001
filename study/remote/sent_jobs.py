"""Jobs of ours on a cluster: sent, and waited for until they have begun or were refused."""

import time
from collections.abc import Mapping
from secrets import token_hex

from cluster.errors import ClusterError
from cluster.jobs import Job, JobServer
from study.errors import StudyError
from study.remote.replies import Refused, Reply, replies

PATIENCE_SECONDS = 180.0
"""How long a cluster may take to begin a job; a head that starts many takes a while for each."""
POLL_SECONDS = 0.5
DRIVER_BYTES = 220_000_000
"""What a study's driver states of the head's memory, with Ray's process beside it; cluster/OPERATIONS.md has
the sum."""
DRIVER_IMPORTS = (
    "PIL.Image",
    "alembic.command",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "matplotlib.pyplot",
    "mlflow",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.rest_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "multiprocessing.spawn",
    "optuna",
    "pandas",
    "pyarrow",
    "pydantic",
    "pynvml",
    "ray.tune",
    "rich.console",
    "rich.table",
    "scipy.optimize",
    "scipy.stats",
    "smtplib",
    "sqlalchemy.orm",
    "typer",
    "yaml",
)
"""What a study's driver imports of other people's packages, without torch; all drivers of a head share it."""


def begin_job(
    server: JobServer,
    prefix: str,
    command: str,
    archive: bytes,
    settings: Mapping[str, str],
    metadata: Mapping[str, str],
) -> tuple[str, Reply]:
    """Sends a job that lives long, and returns its id and its first reply.

    A job that did not begin is taken back. Raises as `first_reply`.
    """
    job = send_job(server, prefix, command, archive, settings, metadata, DRIVER_BYTES)
    try:
        return job, first_reply(server, job, PATIENCE_SECONDS)
    except BaseException:
        _take_back(server, job)
        raise


def send_job(
    server: JobServer,
    prefix: str,
    command: str,
    archive: bytes,
    settings: Mapping[str, str],
    metadata: Mapping[str, str],
    memory_bytes: int | None = None,
) -> str:
    """Sends a job whose id begins with `prefix`, with its code and files in a zip file, and returns its id.

    `command` is what follows `study.cli.job`. Raises ClusterError.
    """
    job = f"{prefix}-{token_hex(4)}"
    uri = server.upload(archive)
    server.submit(
        job,
        f"python -m cluster.forked_job --import {','.join(DRIVER_IMPORTS)} study.cli.job {command}",
        working_dir=uri,
        environment=settings,
        metadata=metadata,
        memory_bytes=memory_bytes,
    )
    return job


def first_reply(server: JobServer, job: str, patience: float) -> Reply:
    """The first reply of a job, which has `patience` seconds for it.

    Raises StudyError with the reason of a refusal, ClusterError if the job ends or hangs without a reply.
    """
    deadline = time.monotonic() + patience
    state = server.job(job)
    while time.monotonic() < deadline:
        state = server.job(job)
        for reply in replies(server.log(job)) if state.state != "PENDING" else ():
            if isinstance(reply, Refused):
                raise StudyError(reply.message)
            return reply
        if state.has_ended:
            raise ClusterError(f"the job {job} ended before it began: {last_words(server, state)}")
        time.sleep(POLL_SECONDS)
    why = (
        f"; its head has no {DRIVER_BYTES / 1e6:.0f} MB left for another driver, or is slow to start "
        "processes: wait until a study ends (study status), or give the head more memory"
        if state.state == "PENDING"
        else "; see its dashboard, and try again"
    )
    raise ClusterError(
        f"the cluster at {server.address} took the job {job} but did not begin it within {patience:.0f} s"
        f"{why}"
    )


def last_words(server: JobServer, job: Job) -> str:
    """The last line that says something; `python: not found` where the nodes have no such command."""
    lines = [
        line.strip() for line in (server.log(job.id) or job.message).splitlines() if len(line.strip()) > 1
    ]
    said = lines[-1] if lines else job.state
    if "ModuleNotFoundError" in said:
        return f"{said}; start Ray there with a `python` that has all packages of pyproject.toml"
    return said


def _take_back(server: JobServer, job: str) -> None:
    """Leaves nothing of a job that did not begin."""
    try:
        if not server.job(job).has_ended:
            server.stop(job)
        # Ray looks after a job for another second, and would put a forgotten one back on its list.
        time.sleep(2.5)
        server.forget(job)
    except ClusterError:
        return  # the message on the way says what is wrong with the cluster
