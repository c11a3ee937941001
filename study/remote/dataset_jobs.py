"""Jobs that add datasets on a cluster: asked for from another machine, and found again by the dataset's
name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cluster.errors import ClusterError
from cluster.jobs import Job, JobServer
from cluster.working_dir import zip_files
from study.errors import SpecError, StudyError
from study.remote.job_lookup import home_of
from study.remote.payload import job_environment, source_code
from study.remote.replies import Begun, Refused, replies, without_replies
from study.remote.sent_jobs import begin_job, last_words
from study.remote.submission import check_versions
from study.user import USER_VARIABLE, check_owner
from trainables.datasets.options import AddOptions
from trainables.printable import quoted

DATASET = "dataset"
"""Metadata of a job that adds a dataset: its name."""
REQUEST_FILE = "dataset.json"
"""Beside the code of such a job: what it shall add."""


@dataclass(frozen=True, kw_only=True)
class AddRequest:
    """A dataset that somebody wants added on a cluster."""

    name: str
    source: str | None
    """Whole path that all machines of the cluster see; None for what is built in."""
    options: AddOptions
    publish: str | None = None
    """Where it is published once it is added, such as s3://bucket/datasets."""

    def __post_init__(self) -> None:
        if self.source is not None and not Path(self.source).is_absolute():
            raise SpecError(
                "--from takes the whole path of a source that all machines of the cluster see, got "
                f"{quoted(self.source)}; put it into the folder that they share, and name it as they see it"
            )

    def to_bytes(self) -> bytes:
        """As it travels."""
        return _REQUEST.dump_json(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> "AddRequest":
        """Raises ValueError for what is no request."""
        try:
            return _REQUEST.validate_json(content)
        except ValidationError as error:
            raise ValueError(f"no request: {content[:80]!r}") from error


_REQUEST: TypeAdapter[AddRequest] = TypeAdapter(AddRequest)


@dataclass(frozen=True, kw_only=True)
class SubmittedAdding:
    """A dataset that the cluster has begun to add."""

    job: str
    home: str
    """STUDY_HOME on the cluster."""


def submit_adding(
    request: AddRequest,
    server: JobServer,
    *,
    home: str | None = None,
    say: Callable[[str], None] = print,
) -> SubmittedAdding:
    """Sends the request and returns once the cluster has begun with it.

    `home` is STUDY_HOME there, if the cluster's own environment does not say. Raises TrackingError,
    ClusterError, or StudyError with the reason why the cluster refuses it; then nothing is left of it there.
    """
    home = home or home_of(server, None)
    settings = job_environment(server, home, needs_tracking=False)
    check_versions(server, say)
    _check_is_not_added(server, request.name)
    archive = zip_files({**source_code(), REQUEST_FILE: request.to_bytes()})
    metadata = {DATASET: request.name, "user": settings[USER_VARIABLE], "home": home or ""}
    prefix = f"data-add-{request.name}"
    job, reply = begin_job(server, prefix, f"add {REQUEST_FILE}", archive, settings, metadata)
    assert isinstance(reply, Begun), "a job that adds a dataset begins, or is refused"
    return SubmittedAdding(job=job, home=reply.home)


def adding_job(server: JobServer, name: str) -> Job:
    """The latest job that adds a dataset of that name. Raises StudyError."""
    job = _latest(server, name)
    if job is None:
        raise StudyError(
            f"{server.address} knows no job that adds a dataset {name!r} since its head was started; what is "
            f"in its STUDY_HOME: study data list --address {server.address}"
        )
    return job


def stop_adding(server: JobServer, name: str, *, yes: bool = False) -> None:
    """Interrupts the job that adds a dataset, with `yes` also somebody else's; what it has read stays.

    Raises StudyError where none runs.
    """
    job = adding_job(server, name)
    if job.has_ended:
        raise StudyError(f"nothing adds {name!r} any more: study data logs {name} says how it ended")
    check_owner(name, job.metadata.get("user", ""), is_meant=yes, kind="dataset")
    server.stop(job.id)


def follow_adding(server: JobServer, job_id: str) -> Iterator[str]:
    """What the job says, as it does, until it has added the dataset.

    Raises StudyError with what is wrong with the source, or where somebody stopped it, and ClusterError where
    the job died.
    """
    for text in server.follow(job_id):
        for line in text.splitlines(keepends=True):
            for reply in replies(line):
                if isinstance(reply, Refused):
                    raise StudyError(reply.message)
            yield without_replies(line)
    job = server.job(job_id)
    if job.state == "STOPPED":
        raise StudyError("somebody stopped it; the same command goes on with what is read")
    if job.state != "SUCCEEDED":
        raise ClusterError(
            f"the job {job_id} died ({last_words(server, job)}); the same command goes on with what is read"
        )


def _check_is_not_added(server: JobServer, name: str) -> None:
    job = _latest(server, name)
    if job is not None and not job.has_ended:
        at = f"--address {server.address}"
        raise StudyError(
            f"{server.address} is adding a dataset {name!r} already, for "
            f"{job.metadata.get('user', 'somebody')}; see it: study data logs {name} -f {at}; stop it: study "
            f"data stop {name} {at}"
        )


def _latest(server: JobServer, name: str) -> Job | None:
    return next((job for job in reversed(server.jobs()) if job.metadata.get(DATASET) == name), None)
