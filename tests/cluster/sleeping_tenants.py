"""Tenants whose tasks sleep, on a real Ray cluster with its real queue: how much of the cluster each one had.

    python tests/cluster/sleeping_tenants.py --address 127.0.0.1:6379 --cpus 6 --seconds 30 ada/a1 ada/a2
    ben/b1 ben/b2

Prints one JSON line: the share of each tenant in what all held together, slots times seconds. It counts from
when each tenant has had some tasks: before that, processes that start hold slots, some of them for long.
"""

import argparse
import json
import threading
import time

import ray
from ray import ObjectRef

from cluster.connection import connected
from cluster.fair_share import Demand
from cluster.slot_queue import slot_lease

TASK_SECONDS = 0.5
WARM_TASKS = 5
"""Tasks that each tenant has behind it before anything is counted."""
WARM_SECONDS = 120.0
"""The longest wait for them."""


def main() -> None:
    """Reads the command line, measures, and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--address", required=True)
    parser.add_argument("--cpus", type=int, required=True, help="CPUs of the cluster")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("tenants", nargs="+", metavar="USER/TENANT")
    arguments = parser.parse_args()
    with connected(arguments.address):
        print(json.dumps(measure(arguments.tenants, arguments.cpus, arguments.seconds)))


class Share:
    """What one tenant did; its own thread writes it."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.num_tasks = 0
        self.slot_seconds = 0.0


def measure(tenants: list[str], cpus: int, seconds: float) -> dict[str, float]:
    """Shares by tenant, which add up to 1."""
    shares = {tenant: Share() for tenant in tenants}
    is_over = threading.Event()
    threads = [
        threading.Thread(target=_drive, args=(tenant, cpus, share, is_over))
        for tenant, share in shares.items()
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + WARM_SECONDS
    while min(share.num_tasks for share in shares.values()) < WARM_TASKS and time.monotonic() < deadline:
        time.sleep(0.1)
    before = {tenant: share.slot_seconds for tenant, share in shares.items()}
    time.sleep(seconds)
    held = {tenant: share.slot_seconds - before[tenant] for tenant, share in shares.items()}
    is_over.set()
    for thread in threads:
        thread.join()
    return {tenant: round(own / sum(held.values()), 3) for tenant, own in held.items()}


def _drive(tenant: str, cpus: int, share: Share, is_over: threading.Event) -> None:
    """One tenant: as many sleeping tasks as the queue grants, at any time."""
    user, name = tenant.split("/")
    sleep = ray.remote(num_cpus=1)(_sleep)
    running: list[ObjectRef[None]] = []
    demand = Demand(tenant=name, user=user, priority=0, num_slots=cpus, cpus_per_slot=1.0, gpus_per_slot=0.0)
    with slot_lease(demand) as lease:
        last = time.monotonic()
        while not is_over.is_set():
            now = time.monotonic()
            share.slot_seconds += len(running) * (now - last)
            last = now
            if running:
                ended, running = ray.wait(running, num_returns=len(running), timeout=0.02)
                share.num_tasks += len(ended)
            for _ in range(lease.slots(len(running), cpus) - len(running)):
                running.append(sleep.remote(TASK_SECONDS))
            time.sleep(0.02)
        ray.get(running)


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


if __name__ == "__main__":
    main()
