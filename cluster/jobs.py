"""Jobs of a cluster: what its job server runs, and what it shall run.

https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Literal
from urllib.parse import urlencode

from cluster.dashboard import VERSION_PATH, Dashboard
from cluster.errors import ClusterError
from cluster.mailbox import answer_file, package_name

HEAD_RESOURCE = "node:__internal_head__"
"""Of which Ray gives the head one, and no other node any."""
AGENT_SECONDS = 30.0
"""How long a head that has just started may refuse jobs."""
FORGET_SECONDS = 60.0
"""How long a job that was stopped may take to end."""
POLL_SECONDS = 0.5
MOST_BYTES = 5_000_000
"""What is read at most of either end of a log."""
MOST_ANSWER_BYTES = 50_000_000
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
    node: str = ""
    """Id of the node that its process runs on; empty before it starts."""

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
        with self._understanding():
            python = metadata.get("data", {}).get("pythonVersion", "")
            return Versions(ray=str(answer["ray_version"]), python=str(python))

    def jobs(self) -> tuple[Job, ...]:
        """All jobs that were submitted, the latest last."""
        with self._understanding():
            trees = self._dashboard.get_list("/api/jobs/")
            found = [_job(tree) for tree in trees if tree.get("submission_id")]
            return tuple(sorted(found, key=lambda job: job.started))

    def job(self, job_id: str) -> Job:
        """One job."""
        with self._understanding():
            return _job(self._dashboard.get(f"/api/jobs/{job_id}"))

    def find_job(self, job_id: str) -> Job | None:
        """One job; None where the head does not know it."""
        with self._understanding():
            tree = self._dashboard.find(f"/api/jobs/{job_id}")
            return None if tree is None else _job(tree)

    def send_letter(self, mailbox: str, content: bytes) -> str:
        """Puts a letter into the mailbox of a job, and returns its id."""
        letter = token_hex(8)
        self._dashboard.put(f"/api/packages/gcs/{package_name(mailbox, letter)}", content)
        return letter

    def letter_answer(self, job: Job, mailbox: str, letter: str) -> str | None:
        """The answer of the job whose mailbox it is; None as long as there is none."""
        file = answer_file(mailbox, letter)
        if not job.node or not self._has_log_file(job.node, file):
            return None
        return self._log_file(job.node, file, -1, MOST_ANSWER_BYTES)

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
        memory_bytes: int | None = None,
    ) -> None:
        """Starts a job on the head, at most once for an id.

        `working_dir` is the URI of a zip file: the command runs in a folder with its files. The dashboard
        shows the environment and the metadata to everybody who has the token. A job that states its memory
        stays PENDING until that much of the head's is not stated by others.
        """
        job: dict[str, Any] = {
            "submission_id": job_id,
            "entrypoint": command,
            "runtime_env": {"working_dir": working_dir, "env_vars": dict(environment)},
            "metadata": dict(metadata),
        }
        if memory_bytes is not None:
            # Ray keeps a job on the head unless it states resources; the second one is the head's own.
            job |= {"entrypoint_memory": memory_bytes, "entrypoint_resources": {HEAD_RESOURCE: 0.001}}
        deadline = time.monotonic() + AGENT_SECONDS
        while not self._accepts(job):
            if time.monotonic() > deadline:
                raise self._without_agent()
            time.sleep(POLL_SECONDS)

    def log(self, job_id: str) -> str:
        """All that a job has printed so far, on stdout and stderr."""
        with self._understanding():
            return str(self._dashboard.get(f"/api/jobs/{job_id}/logs")["logs"])

    def last_lines(self, job: Job, num_lines: int) -> str:
        """The end of what a job has printed, of which no more is transferred."""
        return self._part_of_log(job, num_lines)

    def first_lines(self, job: Job, most_bytes: int) -> str:
        """The beginning of what a job has printed, of which no more is transferred."""
        return self._part_of_log(job, -1, most_bytes)

    def follow(self, job_id: str) -> Iterator[str]:
        """What a job prints, as it does, in whole lines, until it ends; each line is transferred once."""
        num_yielded, last = 0, ""
        while True:
            # Asked before the log is read, so that the last lines of the job are not missed.
            had_ended = self.job(job_id).has_ended
            for text in _whole_lines(self._dashboard.messages(f"/api/jobs/{job_id}/logs/tail"), num_yielded):
                num_yielded, last = num_yielded + len(text), text
                yield text
            if had_ended or self._ends_with(last, job_id):
                return
            time.sleep(POLL_SECONDS)  # something on the way has closed the connection

    def stop(self, job_id: str) -> None:
        """Interrupts a job's process, and does not wait for its end."""
        self._dashboard.post(f"/api/jobs/{job_id}/stop")

    def forget(self, job_id: str) -> None:
        """Takes a job off the list once it has ended; waits up to a minute for that."""
        deadline = time.monotonic() + FORGET_SECONDS
        while not self.job(job_id).has_ended and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self._dashboard.delete(f"/api/jobs/{job_id}")

    def _ends_with(self, text: str, job_id: str) -> bool:
        """Whether a job has ended with these lines, and has printed no more."""
        job = self.job(job_id)
        return job.has_ended and text.splitlines()[-1:] == self.last_lines(job, 1).splitlines()[-1:]

    def _part_of_log(self, job: Job, num_lines: int, most_bytes: int = MOST_BYTES) -> str:
        file = f"job-driver-{job.id}.log"
        if not job.node or not self._has_log_file(job.node, file):
            return ""  # it has not begun, or its node is gone
        return self._log_file(job.node, file, num_lines, most_bytes)

    def _has_log_file(self, node: str, file: str) -> bool:
        """Asked first, as the dashboard writes a traceback into its own log for a file that is not there."""
        with self._understanding():
            found = self._dashboard.find(f"/api/v0/logs?{urlencode({'node_id': node, 'glob': file})}") or {}
            kinds = found.get("data", {}).get("result") or {}
            return any(file in files for files in kinds.values())

    def _log_file(self, node: str, file: str, num_lines: int, most_bytes: int) -> str:
        """The last lines of a file of a node, or all for -1."""
        which = {"node_id": node, "filename": file, "lines": num_lines}
        return self._dashboard.read(f"/api/v0/logs/file?{urlencode(which)}", most_bytes).decode(
            errors="replace"
        )

    @contextmanager
    def _understanding(self) -> Iterator[None]:
        """Inside, an answer that is not as Ray's are is a ClusterError."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._dashboard.not_a_dashboard() from None

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


def _whole_lines(texts: Iterable[str], num_known: int) -> Iterator[str]:
    """Texts cut at the ends of lines, without the characters that were seen before."""
    rest = ""
    for text in texts:
        new, num_known = text[num_known:], max(num_known - len(text), 0)
        rest += new
        whole = rest[: rest.rfind("\n") + 1]
        if whole:
            yield whole
        rest = rest[len(whole) :]
    if rest:
        yield rest


def _job(tree: Mapping[str, Any]) -> Job:
    return Job(
        id=str(tree["submission_id"]),
        state=tree["status"],
        metadata={str(key): str(value) for key, value in (tree.get("metadata") or {}).items()},
        message=str(tree.get("message") or ""),
        started=(tree.get("start_time") or 0) / 1000,
        node=str(tree.get("driver_node_id") or ""),
    )
