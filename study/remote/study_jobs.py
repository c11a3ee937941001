"""The studies of a cluster: their jobs, and the last line of each."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from cluster.jobs import Job, JobServer
from study.errors import UnknownStudyError
from study.execution.priorities import PRIORITY_IS
from study.names import STOPS, WAITS
from study.remote.job_lookup import STUDY, latest_job
from study.remote.replies import Begun, replies, without_replies

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
_PRIORITY = re.compile(rf"{re.escape(PRIORITY_IS)}(-?\d+)")


NUM_LINES = 1000
"""Of a log's end, in which its last line of progress stands, and a priority that was changed."""
BEGINNING_BYTES = 20_000
"""Of a log's beginning, in which the study says that it has begun."""
NUM_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class StudyJob:
    """A study on the cluster, by its latest job."""

    study: str
    user: str
    priority: int
    state: str
    """`starting`, `queued` (waits for its first slot), `running`, `stopping` (by `study stop`), `ended`
    (also by `study stop`), `failed`, `stopped` (by `ray job stop`).
    """
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
    with ThreadPoolExecutor(NUM_AT_ONCE) as several:
        return tuple(several.map(partial(_study_job, server), latest.values()))


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


def end_of_log(server: JobServer, job: Job, num_lines: int) -> str:
    """The last lines of it, of which no more is transferred."""
    return without_replies(server.last_lines(job, num_lines))


def _study_job(server: JobServer, job: Job) -> StudyJob:
    lines = ["".join(found).strip() for found in _PROGRESS_LINE.findall(server.last_lines(job, NUM_LINES))]
    says = lines[-1] if lines else ""
    changed = [match for line in lines for match in _PRIORITY.findall(line)]
    user, priority = _owner_and_priority(server, job)
    return StudyJob(
        study=job.metadata[STUDY],
        user=user,
        priority=int(changed[-1]) if changed else priority,
        state=state_by(job.state, lines),
        submitted=job.started,
        job=job.id,
        says=says,
    )


def state_by(job_state: str, lines: Sequence[str]) -> str:
    """The state of a study by that of its job, and by the lines of progress of its log, the latest last."""
    if job_state == "RUNNING" and any(line.startswith(STOPS) for line in lines):
        return "stopping"  # whatever its last trials say meanwhile
    if job_state == "RUNNING" and lines and lines[-1].startswith(WAITS):
        return "queued"
    return _STATES[job_state]


def _owner_and_priority(server: JobServer, job: Job) -> tuple[str, int]:
    """As the study began, which the cluster knows: who resumes it may be another, and an operator may limit
    the priority; as the job was submitted before that.
    """
    found = replies(server.first_lines(job, BEGINNING_BYTES))
    begun = next((reply for reply in found if isinstance(reply, Begun)), None)
    if begun is None:
        return job.metadata.get("user", ""), int(job.metadata.get("priority", 0))
    return begun.user, begun.priority
