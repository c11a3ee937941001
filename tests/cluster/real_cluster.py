"""A real Ray cluster on this machine: a head with a job server and a token, and nodes that come and go.

Each node is a tree of processes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import psutil
from ports import free_port

PATIENCE_SECONDS = 180.0
NUM_TRIES = 6
"""A raylet gives up when its agent takes 15 s to start, which happens on busy machines and cannot be set."""
STARTED = "Ray runtime started"


class RealCluster:
    """A head and nodes in one folder; not for several threads."""

    @classmethod
    def with_token(cls, **environment: str) -> "RealCluster":
        """A cluster that is not started yet, with a token of its own; its processes get the environment.

        The folder has a short path, as Ray's sockets need one. `close` removes it.
        """
        folder = Path(tempfile.mkdtemp(prefix="sc", dir="/tmp"))
        token = folder / "token"
        token.write_text(token_hex(32), encoding="utf-8")
        token.chmod(0o600)
        return cls(folder, token, environment)

    def __init__(self, folder: Path, token: Path, environment: Mapping[str, str]) -> None:
        """Writes and starts nothing."""
        self.folder = folder
        self.client_environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        """What a laptop needs."""
        self._environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("RAY_", "MLFLOW_", "STUDY_"))
            },
            **self.client_environment,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
            "RAY_raylet_start_wait_time_s": "180",
            "RAY_health_check_period_ms": "1000",  # a lost node is found in 10 s, not 30 s
            "RAY_health_check_failure_threshold": "10",
            **environment,
        }
        self._dashboard_port, self._port = free_port(), free_port()
        self._nodes: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        """Of the dashboard and its job server."""
        return f"http://127.0.0.1:{self._dashboard_port}"

    @property
    def gcs_address(self) -> str:
        """For drivers."""
        return f"127.0.0.1:{self._port}"

    def start_head(self, cpus: int) -> None:
        """Returns once it runs; the addresses stay the same when it is started again."""
        ports = {
            "port": self._port,
            "dashboard-port": self._dashboard_port,
            "ray-client-server-port": free_port(),
        }
        options = [word for name, value in ports.items() for word in (f"--{name}", str(value))]
        self._start(["--head", *options], cpus)

    def add_node(self, cpus: int) -> subprocess.Popen[bytes]:
        """Returns once it has joined."""
        return self._start(["--address", self.gcs_address], cpus)

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """SIGKILL to all of a node's processes, as when its machine goes away."""
        _kill_tree(node)
        self._nodes.remove(node)

    def kill_all(self) -> None:
        """The same for the head, all nodes, and the drivers of jobs, which outlive the head for a second."""
        for node in list(self._nodes):
            self.kill(node)
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid != os.getpid() and process.environ().get("RAY_AUTH_TOKEN_PATH", "").startswith(
                    f"{self.folder}/"
                ):
                    process.kill()

    def close(self) -> None:
        """Ends what runs and removes what was written."""
        self.kill_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, options: list[str], cpus: int) -> subprocess.Popen[bytes]:
        for _ in range(NUM_TRIES):
            # A folder of its own, as a machine has: nodes that share one delete each other's zips of code.
            place = self.folder / token_hex(2)
            log = place.with_suffix(".log")
            node = self._spawn([*options, "--temp-dir", str(place)], cpus, log)
            if _has_started(node, log):
                self._nodes.append(node)
                return node
            _kill_tree(node)
        raise AssertionError(f"a node does not start: {log.read_text(errors='replace')[-2000:]}")

    def _spawn(self, options: list[str], cpus: int, log: Path) -> subprocess.Popen[bytes]:
        own = {
            "dashboard-agent-listen-port": free_port(),
            "dashboard-agent-grpc-port": free_port(),
            "metrics-export-port": free_port(),
        }
        command = [
            *(
                str(Path(sys.executable).parent / "ray"),
                "start",
                "--block",
                "--disable-usage-stats",
                "--node-ip-address",
                "127.0.0.1",
            ),
            *("--num-cpus", str(cpus), "--num-gpus", "0", "--object-store-memory", "80000000"),
            *("--min-worker-port", "0", "--max-worker-port", "0"),
            *(word for name, value in own.items() for word in (f"--{name}", str(value))),
            *options,
        ]
        with log.open("wb") as file:
            return subprocess.Popen(command, env=self._environment, stdout=file, stderr=file)


def _has_started(node: subprocess.Popen[bytes], log: Path) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while node.poll() is None and time.monotonic() < deadline:
        if STARTED in log.read_text(errors="replace"):
            return True
        time.sleep(0.2)
    return False


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        for one in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()
