"""Leases on slots of a real Ray cluster, whose queue is a real actor."""

import pytest

from cluster.connection import num_cores
from cluster.fair_share import Demand
from cluster.slot_queue import SlotLease


def lease(tenant: str) -> SlotLease:
    """A lease of a tenant that could use all cores."""
    demand = Demand(
        tenant=tenant,
        user=tenant,
        priority=0,
        num_slots=num_cores(),
        cpus_per_slot=1.0,
        gpus_per_slot=0.0,
    )
    return SlotLease(demand, None)


def slots(one: SlotLease) -> int:
    """What a lease grants when it is renewed now."""
    one.renew()
    return one.slots(0, num_cores())


@pytest.mark.usefixtures("local_ray")
def test_a_lease_that_was_released_leaves_its_slots_even_to_a_late_renewal() -> None:
    first, second = lease("first"), lease("second")
    assert slots(first) == num_cores()
    assert slots(second) + slots(first) == num_cores()
    second.release()
    second.renew()  # its thread may be about to, just then
    assert slots(first) == num_cores()
    first.release()
