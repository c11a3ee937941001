"""The jobs of a cluster that are studies, by what they were submitted with."""

from cluster.jobs import Job, JobServer

STUDY = "study"
"""Metadata of a study's job: its name. Beside it `user`, `priority` and `home`."""
COMMAND = "command"
"""Metadata of a job that answers a command."""


def latest_job(server: JobServer, name: str) -> Job | None:
    """The last job of a study that the head knows."""
    return next((job for job in reversed(server.jobs()) if job.metadata.get(STUDY) == name), None)


def home_of(server: JobServer, name: str | None) -> str | None:
    """The STUDY_HOME with which a study, or for None the last study, was submitted, if the head knows it."""
    homes = [job.metadata.get("home") for job in server.jobs() if name in (None, job.metadata.get(STUDY))]
    return next((home for home in reversed(homes) if home), None)
