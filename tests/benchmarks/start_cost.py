"""What `study quickstart` takes in a fresh home: seconds, seconds of cores, and processes, by their kinds.

    python tests/benchmarks/start_cost.py --other FOLDER --rounds 3

FOLDER is another checkout with an environment of its own, `.venv`; the two take turns. Seconds of cores are
those of all processes below the command, looked at five times a second: on a machine that does other
work too, they say more than the seconds do. Prints a table and one JSON line. Needs Linux.
"""

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SECONDS_BETWEEN_LOOKS = 0.2
SUBREAPER = 36
"""Of prctl: processes whose parent died become children of this one, so that none is lost."""
KINDS = {
    "default_worker": "trial",
    "ray::": "trial",
    "gcs_server": "gcs_server",
    "raylet": "raylet",
    "dashboard/agent": "agent",
    "DashboardAgent": "agent",
    "runtime_env/agent": "runtime env agent",
    "RuntimeEnvAgent": "runtime env agent",
    "log_monitor": "log monitor",
    "monitor.py": "autoscaler",
    "dashboard.py": "dashboard",
    "study quickstart": "driver",
}
"""By a part of the command; the first that fits counts."""


@dataclass
class Cost:
    """Of one quickstart."""

    seconds: float = 0.0
    first_trials: float = 0.0
    """Seconds until Ray and MLflow had started."""
    cores: dict[tuple[int, float], tuple[str, float]] = field(default_factory=dict)
    """By process and its start: its kind, and its seconds of cores."""

    @property
    def core_seconds(self) -> float:
        """Of all processes."""
        return sum(seconds for _, seconds in self.cores.values())

    def by_kind(self) -> dict[str, tuple[int, float]]:
        """How many processes there were of each kind, and their seconds of cores."""
        found: dict[str, list[float]] = defaultdict(list)
        for kind, seconds in self.cores.values():
            found[kind].append(seconds)
        return {kind: (len(each), round(sum(each), 1)) for kind, each in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--other", type=Path, help="a checkout to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    commands = {"this": Path(sys.executable).with_name("study")}
    if arguments.other is not None:
        commands["other"] = arguments.other / ".venv" / "bin" / "study"
    costs: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            costs[name].append(cost_of(command))
            _print(name, costs[name][-1])
    medians = {
        name: {
            "seconds": round(statistics.median(one.seconds for one in each), 1),
            "first_trials_seconds": round(statistics.median(one.first_trials for one in each), 1),
            "core_seconds": round(statistics.median(one.core_seconds for one in each), 1),
            "processes": statistics.median(len(one.cores) for one in each),
        }
        for name, each in costs.items()
    }
    print(json.dumps({"rounds": arguments.rounds, **medians}))


def cost_of(command: Path) -> Cost:
    """Runs the quickstart in a home of its own."""
    cost, begun = Cost(), time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_"))
        }
        log = Path(home, "quickstart.log")
        with log.open("w") as out:
            driver = subprocess.Popen(
                [command, "quickstart"],
                env=environment | {"STUDY_HOME": str(Path(home, "home"))},
                cwd=home,
                stdout=out,
                stderr=out,
            )
            while driver.poll() is None:
                _look(cost)
                if not cost.first_trials and "first trials" in log.read_text():
                    cost.first_trials = time.monotonic() - begun
                time.sleep(SECONDS_BETWEEN_LOOKS)
        cost.seconds = time.monotonic() - begun
        if driver.returncode:
            raise SystemExit(log.read_text())
    psutil.wait_procs(psutil.Process().children(), timeout=30)
    return cost


def _look(cost: Cost) -> None:
    for process in psutil.Process().children(recursive=True):
        try:
            key, words = (process.pid, process.create_time()), " ".join(process.cmdline())
            times = process.cpu_times()
        except psutil.Error:
            continue
        known = cost.cores.get(key)
        kind = known[0] if known is not None and known[0] != "other" else _kind(words)
        cost.cores[key] = kind, times.user + times.system


def _kind(words: str) -> str:
    return next((kind for part, kind in KINDS.items() if part in words), "other")


def _print(name: str, cost: Cost) -> None:
    print(f"{name}: {cost.seconds:.1f} s, of cores {cost.core_seconds:.1f} s, {len(cost.cores)} processes")
    for kind, (num, seconds) in sorted(cost.by_kind().items(), key=lambda one: -one[1][1]):
        print(f"  {seconds:7.1f} s  {num:3d}  {kind}", flush=True)


if __name__ == "__main__":
    main()
