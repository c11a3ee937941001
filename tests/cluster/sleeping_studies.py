"""Studies whose trials sleep, on a real Ray cluster with its real queue: how much of the cluster each one had.

    python tests/cluster/sleeping_studies.py --address 127.0.0.1:6379 --cpus 6 --seconds 30 ada/a1 ada/a2 ben/b1 ben/b2

Prints one JSON line: the share of each study in what all held together, trials times seconds. A trial whose process still starts holds its
slot, too.
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
    held = dict.fromkeys(studies, 0.0)
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=_drive, args=(study, cpus, until, held)) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {study: round(mine / sum(held.values()), 3) for study, mine in held.items()}


def _drive(study: str, cpus: int, until: float, held: dict[str, float]) -> None:
    """One driver: as many sleeping trials as the queue grants, at any time."""
    user, name = study.split("/")
    sleep = ray.remote(num_cpus=1)(_sleep)
    running: list[Any] = []
    with queued(Demand(study=name, user=user, priority=0, wants=cpus, cpus=1.0, gpus=0.0)) as place:
        last = time.monotonic()
        while (now := time.monotonic()) < until:
            held[study] += len(running) * (now - last)
            last = now
            if running:
                _, running = ray.wait(running, num_returns=len(running), timeout=0.02)
            for _ in range(place.slots(len(running), cpus) - len(running)):
                running.append(sleep.remote(TRIAL_SECONDS))
            time.sleep(0.02)
        ray.get(running)


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


if __name__ == "__main__":
    main()
