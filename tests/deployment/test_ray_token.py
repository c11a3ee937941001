"""A head started by the command line of the deployment files lets in who has its token, and nobody else."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from deployment_files import PAGE, RAY_UP, command, compose, env_file, with_option
from deployment_servers import PATIENCE_SECONDS, PROGRAMS, end, wait_for
from ports import free_port

RAYS_OWN_PORTS = frozenset({44217, 44227})
"""Of the head's autoscaler and dashboard, for metrics; a machine's second head leaves them to the first."""
OWN_PORTS = (
    "--ray-client-server-port",
    "--node-manager-port",
    "--object-manager-port",
    "--runtime-env-agent-port",
    "--metrics-export-port",
    "--dashboard-agent-listen-port",
    "--dashboard-agent-grpc-port",
)
LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
RUNS_A_TASK = """
import ray, sys
ray.init(address=sys.argv[1], log_to_driver=False)
print("answer", ray.get(ray.remote(lambda: 6 * 7).remote()))
"""


@dataclass(frozen=True, kw_only=True)
class Head:
    """A Ray head that runs."""

    address: str
    dashboard: str
    token: str
    process: int
    opened: frozenset[int]
    """Ports that its command line names, but for those of its workers."""


@pytest.fixture(scope="module")
def ray_environment(
    clean_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What a node of aws.yaml has in its environment, but the token; its home folder holds no token."""
    home = tmp_path_factory.mktemp("home")
    mode = env_file("aws.env")["RAY_AUTH_MODE"]
    return {
        **clean_environment,
        "HOME": str(home),
        "RAY_AUTH_MODE": mode,
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }


def start_command(folder: Path, port: int, dashboard_port: int) -> list[str]:
    """The one of aws.yaml, on free ports, in a folder of its own, and waiting, so that it can be ended."""
    words = command("aws.yaml", "ray", "start", "--head")
    words = [word for word in words if not word.startswith("--autoscaling-config")]
    for name in OWN_PORTS:
        words = with_option(words, name, str(free_port()))
    words = with_option(with_option(words, "--port", str(port)), "--dashboard-port", str(dashboard_port))
    return [
        str(PROGRAMS / "ray"),
        *words[1:],
        f"--temp-dir={folder}",
        "--num-cpus=1",
        "--object-store-memory=100000000",
        "--block",
    ]


@pytest.fixture(scope="module")
def head(
    ray_environment: dict[str, str], secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Head]:
    folder = Path("/tmp") / f"ray-{os.getpid()}"  # a socket's path is at most 107 characters
    log = tmp_path_factory.mktemp("ray") / "log"
    port, dashboard_port = free_port(), free_port()
    environment = {**ray_environment, "RAY_AUTH_TOKEN": secrets["RAY_AUTH_TOKEN"]}
    words = start_command(folder, port, dashboard_port)
    process = subprocess.Popen(
        words,
        env=environment,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
    )
    dashboard = f"http://127.0.0.1:{dashboard_port}"
    try:
        wait_for(f"{dashboard}/api/gcs_healthz", process, log)
        yield Head(
            address=told_address(log),
            dashboard=dashboard,
            token=secrets["RAY_AUTH_TOKEN"],
            process=process.pid,
            opened=frozenset(
                int(word.partition("=")[2])
                for word in words
                if word.startswith(("--port=", *(f"{name}=" for name in OWN_PORTS)))
            ),
        )
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


def told_address(log: Path) -> str:
    """Where others reach the head, as it says once it is up."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = re.search(r"ray start --address='([^']+)'", log.read_text())
        if found is not None:
            return found[1]
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def status(address: str, token: str | None) -> int:
    request = urllib.request.Request(
        address, headers={} if token is None else {"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
def test_the_job_server_asks_for_the_token(head: Head) -> None:
    jobs = f"{head.dashboard}/api/jobs/"
    assert status(jobs, None) == 401
    assert status(jobs, "0" * 32) == 403
    assert status(jobs, head.token) == 200


@pytest.mark.slow
def test_the_dashboard_listens_on_loopback_alone(head: Head) -> None:
    port = int(head.dashboard.rsplit(":", 1)[1])
    sockets = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    addresses = {one.laddr.ip for one in sockets if one.laddr and one.laddr.port == port}
    assert addresses == {"127.0.0.1"}
    host = head.address.rsplit(":", 1)[0]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, port), 5)


@pytest.mark.slow
def test_others_reach_the_ports_that_the_page_tells_to_close_and_no_more(head: Head) -> None:
    processes = [psutil.Process(head.process), *psutil.Process(head.process).children(recursive=True)]
    numbers = {one.pid for one in processes}
    reached = {
        one.laddr.port
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.pid in numbers and one.laddr.ip not in LOOPBACK
    }
    assert len(reached) > 3
    assert {port for port in reached if not 10002 <= port <= 19999} <= head.opened | RAYS_OWN_PORTS


def test_the_page_tells_each_port_that_the_files_open() -> None:
    """In a table, and in the lines for a firewall."""
    table = PAGE[PAGE.index("### Ports") :]
    table = table[: table.index("\n## ")]
    for kind in ("--head", "--address=$RAY_HEAD_IP:6379"):
        for file in RAY_UP:
            ports = [
                word.partition("=")[2] for word in command(file, "ray", "start", kind) if "port=" in word
            ]
            assert len(ports) >= 8
            for port in ports:
                assert re.search(rf"\b{port}\b", table), port
    (closing,) = re.findall(r"ufw allow from \S+ to any port (\S+) proto tcp", table)
    allowed = [tuple(map(int, part.split(":"))) for part in closing.split(",")]
    for port in (6379, 8076, 8077, 8078, 8080, 10001, 10002, 19999, 52365, 52366, *RAYS_OWN_PORTS):
        assert any(one[0] <= port <= one[-1] for one in allowed), port
    assert not any(one[0] <= 8265 <= one[-1] for one in allowed), "the dashboard is reached by SSH alone"


def driver(head: Head, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUNS_A_TASK, head.address]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


@pytest.mark.slow
def test_a_driver_with_the_token_runs_tasks(head: Head, ray_environment: dict[str, str]) -> None:
    done = driver(head, {**ray_environment, "RAY_AUTH_TOKEN": head.token})
    assert "answer 42" in done.stdout, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("token", ["another-token", None])
def test_a_driver_without_the_token_is_refused(
    head: Head, ray_environment: dict[str, str], token: str | None
) -> None:
    mode = {"RAY_AUTH_MODE": "disabled"} if token is None else {"RAY_AUTH_TOKEN": token}
    done = driver(head, {**ray_environment, **mode})
    assert done.returncode != 0
    assert "answer" not in done.stdout
    assert "uthentication" in done.stderr


def test_no_head_starts_without_a_token(ray_environment: dict[str, str], tmp_path: Path) -> None:
    words = start_command(tmp_path / "ray", free_port(), free_port())
    done = subprocess.run(
        words, env=ray_environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    assert "authentication token" in done.stderr


def test_all_heads_start_alike() -> None:
    """But for where the dashboard listens: in a container, the published port is bound to loopback."""
    aws, onprem = (command(file, "ray", "start", "--head") for file in ("aws.yaml", "onprem.yaml"))
    assert aws == onprem
    own = {
        "--autoscaling-config=~/ray_bootstrap_config.yaml",
        "--dashboard-host=127.0.0.1",
        "--min-worker-port=10002",
        "--max-worker-port=19999",
        *(word for word in aws if word.startswith(OWN_PORTS)),
    }
    in_container = set(compose()["services"]["ray"]["command"])
    assert in_container - set(aws) == {"--block", "--dashboard-host=0.0.0.0"}
    assert set(aws) - in_container == own
