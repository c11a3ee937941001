"""Submitting a study from a laptop to a cluster: checked here, sent as a Ray job, accepted or refused
there.
"""

import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from cluster.errors import ClusterError
from cluster.jobs import Job, JobServer
from cluster.working_dir import zip_files
from study.errors import SpecError, StudyError
from study.planning.plan import study_space
from study.remote.payload import SPEC_FILE, job_environment, source_code, study_files
from study.remote.replies import Answer, Begun, Refused, Reply, replies
from study.search.sampling.start_points import start_points
from study.study_file.study_spec import StudySpec
from study.user import current_user

PATIENCE_SECONDS = 180.0
"""How long a cluster may take to begin a study; a head that starts many takes a while for each."""
POLL_SECONDS = 0.5
MIN_RAY = (2, 55)
MIN_PYTHON = (3, 11)
STUDY = "study"
"""Metadata of a study's job: its name. Beside it `user`, `priority` and `home`."""
COMMAND = "command"
"""Metadata of a job that answers a command."""


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """A study that the cluster has begun."""

    study: str
    job: str
    home: str
    """STUDY_HOME on the cluster."""


def submit_study(
    file: Path,
    server: JobServer,
    *,
    home: str | None = None,
    priority: int = 0,
    say: Callable[[str], None] = print,
) -> Submitted:
    """Sends the study in `file` to the cluster and returns once it has begun there.

    `home` is STUDY_HOME there, if the cluster's own environment does not say. Raises SpecError, SpaceError,
    TrackingError, ClusterError, or StudyError with the reason why the cluster refuses it; then nothing is
    left of it there.
    """
    spec = StudySpec.read(file)
    _check_here(spec)
    settings = job_environment(server, home)
    check_versions(server, say)
    _check_is_not_running(server, spec.study)
    archive = zip_files({**source_code(), **study_files(spec)})
    metadata = {STUDY: spec.study, "user": current_user(), "priority": str(priority), "home": home or ""}
    return _begin(server, spec.study, f"run {SPEC_FILE} --priority {priority}", archive, settings, metadata)


def resume_submitted(
    name: str, server: JobServer, *, home: str | None = None, say: Callable[[str], None] = print
) -> Submitted:
    """Resumes a study in the cluster's STUDY_HOME, as after the death of the head.

    Raises as `submit_study`.
    """
    check_versions(server, say)
    _check_is_not_running(server, name)
    home = home or home_of(server, name)
    metadata = {STUDY: name, "user": current_user(), "home": home or ""}
    return _begin(
        server,
        name,
        f"resume {shlex.quote(name)}",
        zip_files(source_code()),
        job_environment(server, home),
        metadata,
    )


def run_command(
    words: list[str], server: JobServer, *, home: str | None = None, patience: float = PATIENCE_SECONDS
) -> Answer:
    """What `study WORDS…` prints on the cluster. Raises ClusterError, StudyError."""
    settings = job_environment(server, home, needs_tracking=False)
    metadata = {COMMAND: words[0], "user": current_user()}
    job = _send(server, COMMAND, f"command {shlex.join(words)}", zip_files(source_code()), settings, metadata)
    answer = _await(server, job, patience)
    assert isinstance(answer, Answer), "a command that ends has answered"
    return answer


def latest_job(server: JobServer, name: str) -> Job | None:
    """The last job of a study that the head knows."""
    return next((job for job in reversed(server.jobs()) if job.metadata.get(STUDY) == name), None)


def home_of(server: JobServer, name: str | None) -> str | None:
    """The STUDY_HOME with which a study, or for None the last study, was submitted, if the head knows it."""
    homes = [job.metadata.get("home") for job in server.jobs() if name in (None, job.metadata.get(STUDY))]
    return next((home for home in reversed(homes) if home), None)


def check_versions(server: JobServer, say: Callable[[str], None]) -> None:
    """Raises ClusterError if the cluster's Ray or Python is too old; `say` gets a line where Python
    differs.
    """
    theirs = server.versions()
    for what, theirs_now, least in (("Ray", theirs.ray, MIN_RAY), ("Python", theirs.python, MIN_PYTHON)):
        if theirs_now and _numbers(theirs_now) < least:
            raise ClusterError(
                f"the cluster at {server.address} runs {what} {theirs_now}, this code needs {what} "
                f"{'.'.join(map(str, least))} or newer; "
                "start the cluster with an image that has it"
            )
    here = ".".join(map(str, sys.version_info[:3]))
    if theirs.python and _numbers(theirs.python) != _numbers(here):
        say(f"the cluster runs Python {theirs.python}, this machine {here}: the study runs on the cluster's")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _check_here(spec: StudySpec) -> None:
    """Checks that need neither data nor cluster: the space, the start points, and the budget."""
    starts = start_points(spec.start_from, study_space(spec), spec.fix)
    if len(starts) > spec.budget.trials:
        raise SpecError(
            f"start_from names {len(starts)} points but budget.trials is {spec.budget.trials}; raise it or "
            "drop some"
        )


def _check_is_not_running(server: JobServer, name: str) -> None:
    job = latest_job(server, name)
    if job is not None and not job.has_ended:
        raise StudyError(
            f"the study {name!r} runs already on {server.address}, submitted by "
            f"{job.metadata.get('user', 'somebody')}; "
            f"see it: study status {name} --address {server.address}; stop it: study stop {name} --address "
            f"{server.address}; "
            "or choose another name"
        )


def _begin(
    server: JobServer,
    name: str,
    command: str,
    archive: bytes,
    settings: Mapping[str, str],
    metadata: Mapping[str, str],
) -> Submitted:
    job = _send(server, f"study-{name}", command, archive, settings, metadata)
    try:
        reply = _await(server, job, PATIENCE_SECONDS)
    except BaseException:
        _take_back(server, job)
        raise
    return Submitted(study=name, job=job, home=reply.home if isinstance(reply, Begun) else "")


def _send(
    server: JobServer,
    prefix: str,
    command: str,
    archive: bytes,
    settings: Mapping[str, str],
    metadata: Mapping[str, str],
) -> str:
    job = f"{prefix}-{token_hex(4)}"
    uri = server.upload(archive)
    server.submit(
        job, f"python -m study.cli.job {command}", working_dir=uri, environment=settings, metadata=metadata
    )
    return job


def _await(server: JobServer, job: str, patience: float) -> Reply | None:
    """The job's first reply; None for a study that had ended before.

    Raises StudyError with the reason of a refusal, ClusterError if the job ends or hangs without a reply.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        state = server.job(job)
        for reply in replies(server.log(job)) if state.state != "PENDING" else ():
            if isinstance(reply, Refused):
                raise StudyError(reply.message)
            return reply
        if state.state == "SUCCEEDED":
            return None
        if state.has_ended:
            raise ClusterError(f"the job {job} ended before it began: {_last_words(server, state)}")
        time.sleep(POLL_SECONDS)
    raise ClusterError(
        f"the cluster at {server.address} took the job {job} but did not begin it within {patience:.0f} s; "
        "see its dashboard, and try again"
    )


def _last_words(server: JobServer, job: Job) -> str:
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
