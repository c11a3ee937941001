"""Garbage in the list of a cluster's jobs: those that ended long ago, each small command among them."""

from collections.abc import Iterator
from functools import partial

from cluster.jobs import JobServer
from study.garbage.piece import Piece


def ended_jobs(server: JobServer, before: float) -> Iterator[Piece]:
    """Jobs that have ended and were started before a moment in seconds since 1970."""
    for job in server.jobs():
        if job.has_ended and job.started < before:
            yield Piece(
                kind="jobs",
                where=f"job {job.id}",
                what=job.state.lower(),
                num_bytes=None,
                delete=partial(_forget, server, job.id),
            )


def _forget(server: JobServer, job_id: str) -> bool:
    server.forget(job_id)
    return True
