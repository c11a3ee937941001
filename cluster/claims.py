"""What each tenant of the queue may claim, by the operator's policy and by how long it waits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from cluster.ageing import Wait, first_priority
from cluster.fair_share import Claim, Demand
from cluster.queue_policy import Allowance, QueuePolicy


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A tenant as it was at its last renewal."""

    demand: Demand
    num_running: int
    """Slots that it holds."""
    renewed: float
    """By the queue's clock, in seconds."""
    wait: Wait = field(default_factory=Wait)


def weighed_claims(
    tenants: Mapping[str, Tenant],
    policy: QueuePolicy,
    *,
    user_cap: float | None,
    gpu_hours: Callable[[str], float],
) -> dict[str, Claim]:
    """The claims of all tenants, by name.

    A priority counts up to the ceiling of whoever chose it. A person who has used up the month's GPU hours
    comes behind all others. `user_cap` is the cap where the policy has none, `gpu_hours` tells what a person
    used in this month.
    """
    people = {tenant.demand.user for tenant in tenants.values()}
    people |= {tenant.demand.priority_from for tenant in tenants.values()}
    allowances = {person: policy.of(person) for person in people}
    spent = {person for person, allowance in allowances.items() if _is_spent(allowance, gpu_hours(person))}
    demands = {name: _within_ceiling(tenant.demand, allowances) for name, tenant in tenants.items()}
    highest = max((one.priority for one in demands.values() if one.user not in spent), default=0)
    claims = {}
    for name, demand in demands.items():
        cap, is_last = allowances[demand.user].cap, demand.user in spent
        wait = Wait() if is_last else tenants[name].wait
        claims[name] = Claim(
            demand=demand,
            first_priority=first_priority(demand.priority, wait, highest),
            cap=user_cap if cap is None else cap,
            is_last=is_last,
            num_running=tenants[name].num_running,
        )
    return claims


def _is_spent(allowance: Allowance, gpu_hours: float) -> bool:
    return allowance.gpu_hours_per_month is not None and gpu_hours >= allowance.gpu_hours_per_month


def _within_ceiling(demand: Demand, allowances: Mapping[str, Allowance]) -> Demand:
    ceiling = allowances[demand.priority_from or demand.user].max_priority
    return demand if ceiling is None or demand.priority <= ceiling else replace(demand, priority=ceiling)
