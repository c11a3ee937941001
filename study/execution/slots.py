"""How many trials a study may have running: all that fit on a local cluster, as many as its lease grants on
one that is shared.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.connection import is_shared
from cluster.fair_share import Demand
from cluster.nodes import nodes, num_slots
from cluster.slot_queue import SlotLease, slot_lease
from study.errors import StudyError
from study.planning.study_context import StudyContext
from study.search.record.study_record import StudyRecord
from study.study_file.resources import Resources

USER_CAP_VARIABLE = "STUDY_USER_CAP"
"""The largest share of a shared cluster that one user's studies may hold together, in (0, 1]."""


class Slots:
    """Counts them anew each time, as nodes come and go."""

    def __init__(self, cpus: float, gpus: float, most: int | None, lease: SlotLease | None) -> None:
        self._cpus = cpus
        self._gpus = gpus
        self._most = most
        self._lease = lease

    def count(self, runs: int, *, wants_more: bool) -> int:
        """Trials that may run. `runs` do now, and `wants_more` says whether the study could start another."""
        fit = _fit(self._cpus, self._gpus, self._most)
        if self._lease is None:
            return fit
        return min(fit, self._lease.slots(runs, fit if wants_more else max(runs, 1)))


@contextmanager
def slots(wanted: Resources, context: StudyContext, record: StudyRecord) -> Iterator[Slots]:
    """The study's slots for as long as the block runs. Raises StudyError if STUDY_USER_CAP is no share."""
    cpus, gpus, most = context.cpus, context.gpus, wanted.max_concurrent
    if not is_shared():
        yield Slots(cpus, gpus, most, None)
        return
    facts = record.facts
    demand = Demand(
        tenant=context.study,
        user=facts.get("user", ""),
        priority=facts.get("priority", 0),
        num_slots=_fit(cpus, gpus, most),
        cpus_per_slot=cpus,
        gpus_per_slot=gpus,
    )
    with slot_lease(demand, _user_cap()) as lease:
        yield Slots(cpus, gpus, most, lease)


def _fit(cpus: float, gpus: float, most: int | None) -> int:
    fit = num_slots(nodes(), cpus, gpus)
    return max(1, min(fit, most or fit))


def _user_cap() -> float | None:
    given = os.environ.get(USER_CAP_VARIABLE)
    if not given:
        return None
    try:
        share = float(given)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise StudyError(
            f"{USER_CAP_VARIABLE} is the share of the cluster that one user may hold, above 0 and at most 1, "
            f"got {given!r}"
        )
    return share
