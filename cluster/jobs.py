"""Jobs of a cluster: what its job server runs, and what it shall run.

https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cluster.dashboard import VERSION_PATH, Dashboard
from cluster.errors import ClusterError

AGENT_SECONDS = 30.0
"""How long a head that has just started may refuse jobs."""
FORGET_SECONDS = 60.0
"""How long a job that was stopped may take to end."""
POLL_SECONDS = 0.5
NO_AGENT = "No available agent"
"""In the answer of a head whose own agent, the process that starts jobs, is not there."""

State = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"]


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What the head runs, such as 2.60.0 and 3.11.7."""

    ray: str
    python: str
    """Empty where the head does not say."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job that the cluster knows of; a head that starts again knows none."""

    id: str
    state: State
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What it was submitted with."""
    message: str = ""
    """Why it failed, where it did."""
    started: float = 0.0
    """Seconds since 1970."""

    @property
    def has_ended(self) -> bool:
        """Whether its process is gone."""
        return self.state in ("SUCCEEDED", "FAILED", "STOPPED")


class JobServer:
    """The job server of one cluster, behind its dashboard.

    It keeps no state, so several threads may use it. Every method raises ClusterError where the cluster does
    not answer or refuses.
    """

    def __init__(self, address: str) -> None:
        """Takes the dashboard's address. Raises ClusterError if it is no address."""
        self._dashboard = Dashboard(address)
        self.address = self._dashboard.address
        """Of the dashboard, such as http://HEAD:8265."""

    def versions(self) -> Versions:
        """What the head runs; fails within seconds where there is no head or where it refuses the token."""
        self._dashboard.check_reachable()
        answer = self._dashboard.get(VERSION_PATH)
        if "ray_version" not in answer:
            raise self._dashboard.not_a_dashboard()
        # Ray does not document this path; a head without it does not say which Python it runs.
        metadata = self._dashboard.find("/api/v0/cluster_metadata") or {}
        return Versions(ray=answer["ray_version"], python=metadata.get("data", {}).get("pythonVersion", ""))

    def jobs(self) -> tuple[Job, ...]:
        """All jobs that were submitted, the latest last."""
        found = [_job(tree) for tree in self._dashboard.get_list("/api/jobs/") if tree.get("submission_id")]
        return tuple(sorted(found, key=lambda job: job.started))

    def job(self, job_id: str) -> Job:
        """One job."""
        return _job(self._dashboard.get(f"/api/jobs/{job_id}"))

    def upload(self, archive: bytes) -> str:
        """Stores a zip file on the cluster, unless it is there, and returns its URI, for `submit`."""
        name = f"{hashlib.sha256(archive).hexdigest()[:32]}.zip"
        path = f"/api/packages/gcs/{name}"
        if self._dashboard.find(path) is None:
            self._dashboard.put(path, archive)
        return f"gcs://{name}"

    def submit(
        self,
        job_id: str,
        command: str,
        *,
        working_dir: str,
        environment: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> None:
        """Starts a job on the head, at most once for an id.

        `working_dir` is the URI of a zip file: the command runs in a folder with its files. The dashboard
        shows the environment and the metadata to everybody who has the token.
        """
        job = {
            "submission_id": job_id,
            "entrypoint": command,
            "runtime_env": {"working_dir": working_dir, "env_vars": dict(environment)},
            "metadata": dict(metadata),
        }
        deadline = time.monotonic() + AGENT_SECONDS
        while not self._accepts(job):
            if time.monotonic() > deadline:
                raise self._without_agent()
            time.sleep(POLL_SECONDS)

    def log(self, job_id: str) -> str:
        """All that a job has printed so far, on stdout and stderr."""
        return str(self._dashboard.get(f"/api/jobs/{job_id}/logs")["logs"])

    def follow(self, job_id: str) -> Iterator[str]:
        """What a job prints, as it does, in whole lines, until it ends."""
        num_yielded = 0
        while True:
            # Asked before the log is read, so that the last lines of the job are not missed.
            has_ended = self.job(job_id).has_ended
            text = self.log(job_id)
            whole = text if has_ended else text[: text.rfind("\n") + 1]
            yield whole[num_yielded:]
            if has_ended:
                return
            num_yielded = len(whole)
            time.sleep(POLL_SECONDS)

    def stop(self, job_id: str) -> None:
        """Interrupts a job's process, and does not wait for its end."""
        self._dashboard.post(f"/api/jobs/{job_id}/stop")

    def forget(self, job_id: str) -> None:
        """Takes a job off the list once it has ended; waits up to a minute for that."""
        deadline = time.monotonic() + FORGET_SECONDS
        while not self.job(job_id).has_ended and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self._dashboard.delete(f"/api/jobs/{job_id}")

    def _accepts(self, job: Mapping[str, Any]) -> bool:
        """Submits a job; False if the head has no agent to start it."""
        try:
            self._dashboard.post("/api/jobs/", job)
        except ClusterError as error:
            if NO_AGENT not in str(error):
                raise
            return False
        return True

    def _without_agent(self) -> ClusterError:
        return ClusterError(
            f"the head of the Ray cluster at {self.address} starts no jobs, as its agent does not run; "
            "does another Ray on that machine hold the agent's port? Then give it another one: "
            "`ray start --head --dashboard-agent-listen-port PORT`"
        )


def _job(tree: Mapping[str, Any]) -> Job:
    return Job(
        id=tree["submission_id"],
        state=tree["status"],
        metadata=tree.get("metadata") or {},
        message=tree.get("message") or "",
        started=(tree.get("start_time") or 0) / 1000,
    )
