"""The gauges of the queue: what each user holds and wants, who waits and how long, and how tenants ended."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cluster.gauges import Sample

ABOUT: Mapping[str, str] = MappingProxyType(
    {
        "slots_held": "Slots that the studies of a user hold.",
        "slots_granted": "Slots that the studies of a user may hold.",
        "slots_wanted": "Slots that the studies of a user could use.",
        "studies": "Studies on the cluster, by state: queued or running.",
        "studies_ended": "Studies that ended since the queue began, by state.",
        "longest_wait_seconds": "How long the study has waited that waits longest for its first slot.",
    }
)
"""What each gauge is, by name."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """One tenant of the queue."""

    tenant: str
    user: str
    num_running: int
    num_granted: int
    num_wanted: int


class SlotGauges:
    """Reads the queue's gauges; one thread calls it."""

    def __init__(
        self,
        shares: Callable[[], Iterable[Share]],
        num_ended: Mapping[str, int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`shares` tells the tenants of now, `num_ended` how many ended, by state."""
        self._shares = shares
        self._num_ended = num_ended
        self._clock = clock
        self._waits_since: dict[str, float] = {}

    def read(self) -> Iterator[Sample]:
        """All samples of now."""
        shares, now = list(self._shares()), self._clock()
        held: Counter[str] = Counter()
        granted: Counter[str] = Counter()
        wanted: Counter[str] = Counter()
        for one in shares:
            held[one.user] += one.num_running
            granted[one.user] += one.num_granted
            wanted[one.user] += one.num_wanted
        for name, counted in (("slots_held", held), ("slots_granted", granted), ("slots_wanted", wanted)):
            for user, num in counted.items():
                yield Sample(name=name, value=num, tags={"user": user})
        waiting = {one.tenant for one in shares if one.num_running == 0}
        yield Sample(name="studies", value=len(waiting), tags={"state": "queued"})
        yield Sample(name="studies", value=len(shares) - len(waiting), tags={"state": "running"})
        for state, num in list(self._num_ended.items()):
            yield Sample(name="studies_ended", value=num, tags={"state": state})
        self._waits_since = {name: self._waits_since.get(name, now) for name in waiting}
        yield Sample(name="longest_wait_seconds", value=now - min(self._waits_since.values(), default=now))
