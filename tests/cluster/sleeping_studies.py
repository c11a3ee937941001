"""Studies whose trials sleep, on a real Ray cluster with its real queue: how much of the cluster each one had.

    python tests/cluster/sleeping_studies.py --address 127.0.0.1:6379 --cpus 6 --seconds 30 ada/a1 ada/a2 ben/b1 ben/b2

Prints one JSON line: the share of each study in the time of all trials, after the first seconds in which processes start.
"""

import argparse
import json
import threading
import time
from typing import Any

import ray

from cluster.connection import connected
from cluster.queue import queued
from cluster.shares import Demand

TRIAL_SECONDS = 0.5
WARM_SECONDS = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", required=True)
    parser.add_argument("--cpus", type=int, required=True, help="CPUs of the cluster")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("studies", nargs="+", metavar="USER/STUDY")
    arguments = parser.parse_args()
    with connected(arguments.address):
        print(json.dumps(measure(arguments.studies, arguments.cpus, arguments.seconds)))


def measure(studies: list[str], cpus: int, seconds: float) -> dict[str, float]:
    """Shares by study."""
    warm = time.monotonic() + WARM_SECONDS
    used = dict.fromkeys(studies, 0.0)
    threads = [threading.Thread(target=_drive, args=(study, cpus, warm, warm + seconds, used)) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {study: round(mine / sum(used.values()), 3) for study, mine in used.items()}


def _drive(study: str, cpus: int, warm: float, until: float, used: dict[str, float]) -> None:
    """One driver: as many sleeping trials as the queue grants, at any time."""
    user, name = study.split("/")
    sleep = ray.remote(num_cpus=1)(_sleep)
    running: list[Any] = []
    with queued(Demand(study=name, user=user, priority=0, wants=cpus, cpus=1.0, gpus=0.0)) as place:
        while (now := time.monotonic()) < until:
            ended, running = ray.wait(running, num_returns=len(running), timeout=0.02) if running else ([], [])
            used[study] += sum(ray.get(ended)) if now > warm else 0.0
            for _ in range(place.slots(len(running), cpus) - len(running)):
                running.append(sleep.remote(TRIAL_SECONDS))
            time.sleep(0.02)
        ray.get(running)


def _sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


if __name__ == "__main__":
    main()
