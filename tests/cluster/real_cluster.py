"""A real Ray cluster on this machine: a head with a job server and a token, and nodes that come and go.

Each node is a tree of processes.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil
import yaml
from ports import free_port

PATIENCE_SECONDS = 180.0
DRIVER_SECONDS = 900.0
NUM_TRIES = 6
"""A raylet gives up when its agent takes 15 s to start, which happens on busy machines and cannot be set."""
FAKE_HEAD_NODE_ID = f"{0:05}".rjust(56, "f")
FAKE_HEAD_NODE_TYPE = "ray.head.default"
"""As Ray's fake provider calls the head."""
NEEDLESS_SETTINGS = (
    "cluster_synced_files",
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
"""Ray's autoscaler reads them for each provider."""
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
        self._node_types: Mapping[str, Mapping[str, object]] | None = None

    @property
    def address(self) -> str:
        """Of the dashboard and its job server."""
        return f"http://127.0.0.1:{self._dashboard_port}"

    @property
    def gcs_address(self) -> str:
        """For drivers."""
        return f"127.0.0.1:{self._port}"

    @classmethod
    def that_grows(cls, node_types: Mapping[str, Mapping[str, object]]) -> "RealCluster":
        """A cluster that is not started yet, whose autoscaler starts nodes of these types on this machine.

        The types are as in a cluster's settings for `ray up`.
        """
        head = {
            "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
        }
        quick = {
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        }
        cluster = cls.with_token(**head, **quick)
        cluster._node_types = node_types
        return cluster

    def start_head(self, cpus: int, *, memory: int | None = None) -> None:
        """Returns once it runs; the addresses stay the same when it is started again.

        Ray hands out the whole memory, or as many bytes as said.
        """
        ports = {
            "port": self._port,
            "dashboard-port": self._dashboard_port,
            "ray-client-server-port": free_port(),
        }
        options = [word for name, value in ports.items() for word in (f"--{name}", str(value))]
        if self._node_types is not None:
            options += ["--autoscaling-config", str(self._write_settings(self._node_types))]
        if memory is not None:
            options += ["--memory", str(memory)]
        self._start(["--head", *options], cpus)

    def add_node(self, cpus: int, *options: str) -> subprocess.Popen[bytes]:
        """Returns once it has joined. `options` are more words for `ray start`."""
        return self._start(["--address", self.gcs_address, *options], cpus)

    def run_driver(self, script: str, *words: str) -> tuple[dict[str, Any], str]:
        """Runs a program that connects to the cluster; returns the JSON of its last line, and all that it
        said, with single blanks.
        """
        environment = {
            **os.environ,
            **self.client_environment,
            "PATH": self._environment["PATH"],
            "RAY_ADDRESS": self.gcs_address,
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=DRIVER_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), " ".join((done.stdout + done.stderr).split())

    @contextmanager
    def doomed_node(self, cpus: int) -> Iterator[subprocess.Popen[bytes]]:
        """A further machine, which is killed where the block ends: the tests that follow count without it."""
        node = self.add_node(cpus=cpus)
        try:
            yield node
        finally:
            self.kill(node)

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

    def _write_settings(self, node_types: Mapping[str, Mapping[str, object]]) -> Path:
        """Those of a provider whose machines are processes; Ray's `AutoscalingCluster` lacks a file in its
        wheel, and ends every other Ray of the machine.
        """
        head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
        settings = {
            **{key: [] for key in NEEDLESS_SETTINGS},
            **{name: {} for name in ("auth", "docker", "file_mounts")},
            "cluster_name": "growing",
            "upscaling_speed": 1.0,
            "max_workers": 8,
            "idle_timeout_minutes": 0.4,
            "provider": {
                "type": "external",
                "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
                "gcs_address": self.gcs_address,
                "head_node_id": FAKE_HEAD_NODE_ID,
                "launch_multiple": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
            },
            "head_node_type": FAKE_HEAD_NODE_TYPE,
            "available_node_types": {
                FAKE_HEAD_NODE_TYPE: head,
                **{name: {"node_config": {}, **node_type} for name, node_type in node_types.items()},
            },
        }
        file = self.folder / "autoscaler.yaml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return file

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
