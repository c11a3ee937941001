"""How many trials a study may have running: all that fit on a local cluster, as many as its lease grants on
one that is shared.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cluster.autoscaler import largest_cluster
from cluster.connection import is_shared
from cluster.fair_share import Demand
from cluster.nodes import Node, nodes, num_slots, of_kind
from cluster.slot_queue import Grant, SlotLease, Standing, num_waiting, slot_lease, standings
from study.errors import StudyError
from study.execution.priorities import policy_file
from study.names import WAITS
from study.planning.study_context import StudyContext
from study.search.record.study_record import StudyRecord
from study.study_file.edits import Edit
from study.study_file.resources import Resources
from study.user import current_user

SECONDS_BETWEEN_REASONS = 30.0
"""How often a study that waits says why."""
MOST_HOLDERS = 3
"""Of those who hold slots, so many are named."""
USER_CAP_VARIABLE = "STUDY_USER_CAP"
"""The largest share of a shared cluster that one user's studies hold together while others want slots, in
(0, 1]."""


class Slots:
    """Counts them anew each time, as nodes come and go."""

    def __init__(
        self, shape: "_Shape", most: int | None, lease: SlotLease | None, edit: Edit | None = None
    ) -> None:
        """`edit` gave the study the priority that the lease has."""
        self._edit = edit
        self._shape = shape
        self._most = most
        self._lease = lease

    def count(self, num_held: int, num_wanted: int) -> int:
        """Trials that may run. `num_held` have a process now, and `num_wanted` could have one."""
        fit = self._shape.num_fitting(nodes())
        if self._lease is None:
            return max(min(fit, self._most or fit), 1)
        most = max(min(num_wanted, self._most or num_wanted), 1)
        return min(fit, self._lease.slots(num_held, min(fit, most), most))

    def count_of_present(self, num_held: int) -> int:
        """The same for work that could use every machine that is there, and for which no machine is started
        but the first.
        """
        return self.count(num_held, max(self._shape.num_fitting(nodes()), 1))

    @property
    def grant(self) -> Grant | None:
        """The queue's last answer; None where all slots are the study's own."""
        return None if self._lease is None else self._lease.grant

    def set_priority(self, edit: Edit) -> bool:
        """Asks with the edit's priority from the next renewal on; False if it does already."""
        if self._lease is None or edit == self._edit:
            return False
        self._edit = edit
        self._lease.set_priority(edit.priority, edit.user)
        return True

    def why_none(self) -> str:
        """Why the study has no slot now, in a sentence that begins with WAITS."""
        if self._lease is None:
            return f"{WAITS} slot: none is free"
        if not self._shape.num_fitting(nodes()):
            return self._shape.why_no_node()
        all_ = standings()
        own = next((one for one in all_ if one.tenant == self._lease.tenant), None)
        place = "" if own is None or own.place is None else f"place {own.place} of {num_waiting(all_)}, "
        priority = "" if own is None else f"{priority_text(own)}, "
        holders = sorted((one for one in all_ if one.num_running), key=lambda one: -one.num_running)
        held = ", ".join(f"{one.num_running} by {one.tenant} ({one.user})" for one in holders[:MOST_HOLDERS])
        more = f" and {len(holders) - MOST_HOLDERS} more studies" if len(holders) > MOST_HOLDERS else ""
        wanted = 0 if own is None else own.num_wanted
        return f"{WAITS} slot: {place}{priority}wants {wanted}; held are {held or 'none'}{more}"


def priority_text(one: Standing) -> str:
    """A tenant's priority, and to which one it rose as it waited."""
    if one.is_over_budget:
        return f"priority {one.priority}, behind all others"
    risen = f", risen to {one.first_priority}" if one.first_priority > one.priority else ""
    return f"priority {one.priority}{risen}"


@contextmanager
def slots(
    wanted: Resources, context: StudyContext, record: StudyRecord, edit: Edit | None
) -> Iterator[Slots]:
    """The study's slots for as long as the block runs. `edit` gave it its priority, if any did.

    Raises StudyError if STUDY_USER_CAP is no share, or STUDY_QUEUE_POLICY no absolute path.
    """
    shape = _Shape(cpus=context.cpus, gpus=context.gpus, gpu_kind=wanted.gpu_kind)
    most = wanted.max_concurrent
    if not is_shared():
        yield Slots(shape, most, None)
        return
    fit = shape.num_fitting(nodes())
    demand = _demand(context.study, record, edit, shape, min(fit, most or fit), most)
    with slot_lease(demand, _user_cap(), policy_file()) as lease:
        yield Slots(shape, most, lease, edit)


def await_gpu_node(
    wanted: Resources,
    study: str,
    record: StudyRecord,
    edit: Edit | None,
    say: Callable[[str], object],
    check_goes_on: Callable[[], object],
) -> None:
    """Returns once a machine with a GPU on which a trial fits has come to the connected cluster.

    The study is in the queue for it, so that the autoscaler starts one. `check_goes_on` is called about once
    a second, and raises what ends the wait. `edit` gave the study its priority, if any did.

    Raises StudyError if STUDY_USER_CAP is no share, or STUDY_QUEUE_POLICY no absolute path.
    """
    shape = _Shape(cpus=wanted.cpus_per_trial, gpus=1.0, gpu_kind=wanted.gpu_kind)
    said = -SECONDS_BETWEEN_REASONS
    with slot_lease(_demand(study, record, edit, shape, 0, 1), _user_cap(), policy_file()):
        while not shape.num_fitting(nodes()):
            if time.monotonic() - said >= SECONDS_BETWEEN_REASONS:
                said = time.monotonic()
                say(shape.why_no_node())
            check_goes_on()
            time.sleep(1.0)


@contextmanager
def slots_for_reading(dataset: str) -> Iterator[Slots]:
    """Slots of one CPU each, by which the source of a dataset is read, for as long as the block runs.

    The queue of a shared cluster divides them among the dataset and the studies, at priority 0. Raises
    StudyError if STUDY_USER_CAP is no share, or STUDY_QUEUE_POLICY no absolute path.
    """
    shape = _Shape(cpus=1, gpus=0, gpu_kind=None)
    if not is_shared():
        yield Slots(shape, None, None)
        return
    demand = Demand(
        tenant=f"data add {dataset}",
        user=current_user(),
        priority=0,
        num_slots=shape.num_fitting(nodes()),
        cpus_per_slot=shape.cpus,
        gpus_per_slot=shape.gpus,
    )
    with slot_lease(demand, _user_cap(), policy_file()) as lease:
        yield Slots(shape, None, lease)


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What one slot takes."""

    cpus: float
    gpus: float
    gpu_kind: str | None

    def num_fitting(self, machines: Sequence[Node]) -> int:
        """Slots that fit on machines that are empty."""
        return num_slots(of_kind(machines, self.gpu_kind), self.cpus, self.gpus)

    def why_no_node(self) -> str:
        """What a study says that waits for a machine, in a sentence that begins with WAITS."""
        kind = "" if self.gpu_kind is None else f" ({self.gpu_kind})"
        what = f"GPU node{kind}" if self.gpus else "node"
        largest = self.num_fitting(largest_cluster())
        more = (
            f"the cluster may start some, for {largest} trial{'s' if largest > 1 else ''}"
            if largest
            else "the cluster starts none by itself"
        )
        return f"{WAITS} {what}: none is there; {more}"


def _demand(
    study: str, record: StudyRecord, edit: Edit | None, shape: _Shape, num_slots: int, most: int | None
) -> Demand:
    facts = record.facts
    return Demand(
        tenant=study,
        user=facts.get("user") or "",
        priority=(facts.get("priority") or 0) if edit is None else edit.priority,
        priority_from="" if edit is None else edit.user,
        num_slots=num_slots,
        most_slots=most,
        cpus_per_slot=shape.cpus,
        gpus_per_slot=shape.gpus,
        gpu_kind=shape.gpu_kind,
    )


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
