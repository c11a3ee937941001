"""The studies of a cluster: their jobs, and the last line of each."""

import re
from dataclasses import dataclass

from cluster.jobs import Job, JobServer
from study.errors import UnknownStudyError
from study.remote.replies import without_replies
from study.remote.submission import STUDY, latest_job

_STATES = {
    "PENDING": "starting",
    "RUNNING": "running",
    "SUCCEEDED": "ended",
    "FAILED": "failed",
    "STOPPED": "stopped",
}

_PROGRESS_LINE = re.compile(
    r"^ *(?:\d+h)?\d+[ms](?:\d+s)?  (.*)|^((?:error: |stopped|finished).*)", re.MULTILINE
)
"""Lines of progress, which begin with a clock, and how a job ended; not the tables that it prints."""


@dataclass(frozen=True, kw_only=True)
class StudyJob:
    """A study on the cluster, by its latest job."""

    study: str
    user: str
    priority: int
    state: str
    """`starting`, `running`, `ended` (also by `study stop`), `failed`, `stopped` (by `ray job stop`)."""
    submitted: float
    """Seconds since 1970."""
    job: str
    says: str
    """The last line of its log."""


def study_jobs(server: JobServer, name: str | None = None) -> tuple[StudyJob, ...]:
    """The studies submitted since the head was started, or the one of that name. Raises UnknownStudyError,
    ClusterError.
    """
    if name is not None:
        return (_study_job(server, known_job(server, name)),)
    latest = {job.metadata[STUDY]: job for job in server.jobs() if STUDY in job.metadata}
    return tuple(_study_job(server, job) for job in latest.values())


def known_job(server: JobServer, name: str) -> Job:
    """The latest job of a study. Raises UnknownStudyError, which says how to look in STUDY_HOME."""
    job = latest_job(server, name)
    if job is None:
        raise UnknownStudyError(
            f"{server.address} knows no job of a study {name!r} since its head was started; to see what lies "
            "in its STUDY_HOME: "
            f"study list --address {server.address}; to go on with it: study resume {name} --address "
            f"{server.address}"
        )
    return job


def log_of(server: JobServer, job_id: str) -> str:
    """A job's log, as a person reads it."""
    return without_replies(server.log(job_id))


def _study_job(server: JobServer, job: Job) -> StudyJob:
    lines = _PROGRESS_LINE.findall(server.log(job.id))
    return StudyJob(
        study=job.metadata[STUDY],
        user=job.metadata.get("user", ""),
        priority=int(job.metadata.get("priority", 0)),
        state=_STATES[job.state],
        submitted=job.started,
        job=job.id,
        says="".join(lines[-1]).strip() if lines else "",
    )
