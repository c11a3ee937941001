"""Ray's job server, asked over its REST API: what runs on the cluster, and what shall run there.

Ray's own `JobSubmissionClient` waits for ever where a machine drops packets, and prefers `RAY_ADDRESS` to the address it is given; so the
same requests are made here, with a limit of time, and without importing Ray.
https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html
"""

import hashlib
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from cluster.errors import ClusterError
from cluster.token import authorization, token_source

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
"""A head that starts many jobs at once is slow to answer, but alive."""
AGENT_SECONDS = 30.0
"""A head that has just started takes no jobs yet."""
FORGET_SECONDS = 60.0
POLL_SECONDS = 0.5
DASHBOARD_PORT = 8265
NO_AGENT = "No available agent"
"""In the answer of a head whose own agent, the process that starts jobs, is not there."""

State = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"]


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What the head runs, such as 2.60.0 and 3.11.7."""

    ray: str
    python: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job that the cluster knows of, since its head was started."""

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
    """The job server of one cluster. Raises ClusterError, with one message for a person, whatever goes wrong."""

    def __init__(self, address: str) -> None:
        self.address = _checked(address)

    def versions(self) -> Versions:
        """Asks what the head runs; fails within seconds where there is no head, or where it wants another token."""
        self._check_is_there()
        told = self._ask("GET", "/api/version")
        if not isinstance(told, dict) or "ray_version" not in told:
            raise self._stranger()
        data = self._ask("GET", "/api/v0/cluster_metadata").get("data", {})
        return Versions(ray=told["ray_version"], python=data.get("pythonVersion", ""))

    def jobs(self) -> tuple[Job, ...]:
        """All jobs that were submitted, the latest last."""
        found = [_job(tree) for tree in self._ask("GET", "/api/jobs/") if tree.get("submission_id")]
        return tuple(sorted(found, key=lambda job: job.started))

    def job(self, job_id: str) -> Job:
        """One job."""
        return _job(self._ask("GET", f"/api/jobs/{job_id}"))

    def upload(self, package: bytes) -> str:
        """Puts a zip of code on the cluster, unless it is there, and returns what a job calls it."""
        name = f"_ray_pkg_{hashlib.sha256(package).hexdigest()[:32]}.zip"
        if not self._has(f"/api/packages/gcs/{name}"):
            self._ask("PUT", f"/api/packages/gcs/{name}", package)
        return f"gcs://{name}"

    def submit(self, job_id: str, command: str, *, package: str, environment: Mapping[str, str], metadata: Mapping[str, str]) -> None:
        """Starts a job on the head, in a folder that holds the package; at most once for an id."""
        job = {
            "submission_id": job_id,
            "entrypoint": command,
            "runtime_env": {"working_dir": package, "env_vars": dict(environment)},
            "metadata": dict(metadata),
        }
        deadline = time.monotonic() + AGENT_SECONDS
        while True:
            try:
                self._ask("POST", "/api/jobs/", job)
            except ClusterError as error:
                if NO_AGENT not in str(error):
                    raise
                if time.monotonic() > deadline:
                    raise self._agentless() from None
                time.sleep(POLL_SECONDS)
            else:
                return

    def log(self, job_id: str) -> str:
        """All that a job has printed so far, on stdout and stderr."""
        return str(self._ask("GET", f"/api/jobs/{job_id}/logs")["logs"])

    def follow(self, job_id: str) -> Iterator[str]:
        """What a job prints, as it does, in whole lines, until it ends."""
        num_told = 0
        while True:
            has_ended = self.job(job_id).has_ended  # asked first, so that nothing which it printed last is missed
            text = self.log(job_id)
            whole = text if has_ended else text[: text.rfind("\n") + 1]
            yield whole[num_told:]
            if has_ended:
                return
            num_told = len(whole)
            time.sleep(POLL_SECONDS)

    def stop(self, job_id: str) -> None:
        """Interrupts a job's process."""
        self._ask("POST", f"/api/jobs/{job_id}/stop")

    def forget(self, job_id: str) -> None:
        """Takes a job that has ended off the list; a stopped one takes some seconds to end."""
        deadline = time.monotonic() + FORGET_SECONDS
        while not self.job(job_id).has_ended and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self._ask("DELETE", f"/api/jobs/{job_id}")

    def _has(self, path: str) -> bool:
        try:
            self._open("GET", path, None)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise self._refusal(error) from None
        return True

    def _ask(self, method: str, path: str, content: bytes | Mapping[str, Any] | None = None) -> Any:
        try:
            answer = self._open(method, path, content)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from None
        try:
            return json.loads(answer) if answer else None
        except ValueError:
            raise ClusterError(
                f"what answers at {self.address} is not Ray's dashboard; give its address, such as http://HEAD:8265"
            ) from None

    def _open(self, method: str, path: str, content: bytes | Mapping[str, Any] | None) -> bytes:
        data = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, data, {**authorization(), "Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
                return bytes(response.read())
        except urllib.error.HTTPError:
            raise
        except http.client.HTTPException:
            raise self._stranger() from None
        except (OSError, ValueError) as error:
            raise self._silence(getattr(error, "reason", error)) from None

    def _check_is_there(self) -> None:
        """A machine that drops packets would hold a request up for a minute. What goes through a proxy is left to the proxy."""
        parts = urlsplit(self.address)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
            return
        try:
            socket.create_connection((host, port), CONNECT_SECONDS).close()
        except OSError as error:
            raise self._silence(error) from None

    def _silence(self, reason: object) -> ClusterError:
        return ClusterError(
            f"no Ray cluster answers at {self.address} ({reason}); start its head with `ray start --head`, "
            "or correct --address (RAY_API_SERVER_ADDRESS)"
        )

    def _refusal(self, error: urllib.error.HTTPError) -> ClusterError:
        if error.code == 401:
            return ClusterError(
                f"the Ray cluster at {self.address} asks for its token, and there is none here; "
                "copy it from the head to ~/.ray/auth_token, or to a file that RAY_AUTH_TOKEN_PATH names"
            )
        if error.code == 403:
            return ClusterError(
                f"the Ray cluster at {self.address} refuses the token in {token_source()}; it was started with another: copy that one here"
            )
        if error.code == 404 and urlsplit(error.url).path == "/api/version":
            return self._stranger()
        # A traceback; what went wrong is the last line that says something.
        said = [line for line in error.read().decode(errors="replace").splitlines() if len(line) > 1]
        return ClusterError(f"the Ray cluster at {self.address} answers {error.code}: {said[-1].strip() if said else error.reason}")

    def _agentless(self) -> ClusterError:
        return ClusterError(
            f"the head of the Ray cluster at {self.address} starts no jobs, as its agent does not run; does another Ray on that machine "
            "hold the agent's port? Then give it another one: `ray start --head --dashboard-agent-listen-port PORT`"
        )

    def _stranger(self) -> ClusterError:
        return ClusterError(
            f"what answers at {self.address} is not Ray's dashboard; give its address, such as http://HEAD:{DASHBOARD_PORT} (--address)"
        )


def _checked(address: str) -> str:
    """The address with its scheme and without a slash at its end."""
    whole = address if "://" in address else f"http://{address}"
    parts = urlsplit(whole)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ClusterError(f"the address of a cluster is that of its dashboard, such as http://HEAD:{DASHBOARD_PORT}; got {address!r}")
    return whole.rstrip("/")


def _job(tree: Mapping[str, Any]) -> Job:
    return Job(
        id=tree["submission_id"],
        state=tree["status"],
        metadata=tree.get("metadata") or {},
        message=tree.get("message") or "",
        started=(tree.get("start_time") or 0) / 1000,
    )
