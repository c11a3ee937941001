"""Submitting a study from a laptop to a cluster: checked here, sent as a Ray job, accepted or refused
there.
"""

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ClusterError
from cluster.jobs import JobServer
from cluster.working_dir import zip_files
from study.errors import SpecError, StudyError
from study.planning.plan import study_space
from study.remote.job_lookup import COMMAND, STUDY, home_of, latest_job
from study.remote.payload import SPEC_FILE, job_environment, source_code, study_files
from study.remote.replies import Answer, Begun
from study.remote.sent_jobs import PATIENCE_SECONDS, begin_job, first_reply, send_job
from study.search.sampling.start_points import start_points
from study.study_file.study_spec import StudySpec
from study.user import USER_VARIABLE

MIN_RAY = (2, 55)
MIN_PYTHON = (3, 11)


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """A study that the cluster has begun."""

    study: str
    job: str
    home: str | None
    """STUDY_HOME on the cluster; None for a study that had finished before."""


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
    metadata = {
        STUDY: spec.study,
        "user": settings[USER_VARIABLE],
        "priority": str(priority),
        "home": home or "",
    }
    return _begin(server, spec.study, f"run {SPEC_FILE} --priority {priority}", archive, settings, metadata)


def resume_submitted(
    name: str,
    server: JobServer,
    *,
    home: str | None = None,
    yes: bool = False,
    say: Callable[[str], None] = print,
) -> Submitted:
    """Resumes a study in the cluster's STUDY_HOME, as after the death of the head, with `yes` also somebody
    else's.

    Raises as `submit_study`.
    """
    check_versions(server, say)
    _check_is_not_running(server, name)
    home = home or home_of(server, name)
    settings = job_environment(server, home)
    metadata = {STUDY: name, "user": settings[USER_VARIABLE], "home": home or ""}
    return _begin(
        server,
        name,
        f"resume {shlex.quote(name)}{' --yes' if yes else ''}",
        zip_files(source_code()),
        settings,
        metadata,
    )


def check_on_cluster(file: Path, options: list[str], server: JobServer, *, home: str | None = None) -> Answer:
    """What `study check` with these options prints on the cluster of the study in `file`.

    Raises SpecError, ClusterError, StudyError.
    """
    words = ["check", SPEC_FILE, *options]
    return run_command(words, server, home=home, files=study_files(StudySpec.read(file)))


def run_command(
    words: list[str],
    server: JobServer,
    *,
    home: str | None = None,
    patience: float = PATIENCE_SECONDS,
    files: Mapping[str, bytes] | None = None,
) -> Answer:
    """What `study WORDS…` prints on the cluster, in a folder with these files. Raises ClusterError,
    StudyError.
    """
    settings = job_environment(server, home, needs_tracking=False)
    metadata = {COMMAND: words[0], "user": settings[USER_VARIABLE]}
    command = f"command {shlex.join(words)}"
    archive = zip_files({**source_code(), **(files or {})})
    job = send_job(server, COMMAND, command, archive, settings, metadata)
    answer = first_reply(server, job, patience)
    assert isinstance(answer, Answer), "a command that ends has answered"
    return answer


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
        differing = f"the cluster runs Python {theirs.python}, this machine {here}"
        say(f"{differing}: what is sent runs on the cluster's")


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
            f"{server.address}; once it was asked to stop, wait until study status says that it has ended; "
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
    job, reply = begin_job(server, f"study-{name}", command, archive, settings, metadata)
    return Submitted(study=name, job=job, home=reply.home if isinstance(reply, Begun) else None)
