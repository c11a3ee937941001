"""Who gives back slots that are held, so that others get what is theirs: a pure function, too."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from cluster.fair_share import TOLERANCE, Claim, Rank, Room, dominant_share
from cluster.nodes import Capacity


@dataclass(frozen=True, kw_only=True)
class Pause:
    """What a tenant gives back of the slots that it holds, each once its work comes to a point to pause."""

    num_kept: int
    """Slots that it keeps."""
    in_favour_of: tuple[str, ...]
    """The tenants that get the others, the first in the order of service first."""


def pauses(capacity: Capacity, claims: Collection[Claim], slots: Mapping[str, int]) -> dict[str, Pause]:
    """Which tenants give back slots that they hold, so that others get those that `slots` allots to them.

    A slot is given back for one that ranks higher, or where its user holds more than the cap and the other
    does not. Equals wait until slots become free. No slot is given back in vain: where there is no room for
    another one in the end, it stays.
    """
    return _Taking(capacity, claims, slots).pauses()


class _Taking:
    """Slots taken from those who hold too many, while it is decided."""

    def __init__(self, capacity: Capacity, claims: Collection[Claim], slots: Mapping[str, int]) -> None:
        self._slots = slots
        self._room = Room(capacity)
        self._shares: dict[str, float] = defaultdict(float)
        """Held by user."""
        self._share = {claim.demand.tenant: dominant_share(capacity, claim.demand) for claim in claims}
        """Of one slot, by tenant."""
        for claim in claims:
            self._move(claim, claim.num_running)
        self._kept = {claim.demand.tenant: claim.num_running for claim in claims}
        self._in_favour_of: dict[str, dict[str, None]] = defaultdict(dict)
        self._gainers = sorted(
            (claim for claim in claims if claim.num_running < slots[claim.demand.tenant]), key=_order
        )
        self._losers = sorted(
            (claim for claim in claims if claim.num_running > slots[claim.demand.tenant]),
            key=_order,
            reverse=True,
        )
        self._borrowers = [claim for claim in self._losers if self._borrows(claim)]

    def pauses(self) -> dict[str, Pause]:
        """By tenant, of those that give something back."""
        if not self._losers:
            return {}
        for gainer in self._gainers:
            for num_held in range(gainer.num_running, self._slots[gainer.demand.tenant]):
                if not self._takes_slot(gainer, gainer.rank(num_held)):
                    break
        return {
            name: Pause(num_kept=self._kept[name], in_favour_of=tuple(gainers))
            for name, gainers in self._in_favour_of.items()
        }

    def _takes_slot(self, gainer: Claim, rank: Rank) -> bool:
        """Finds room for one slot; leaves all as it was where there is none."""
        if self._room.has(gainer.demand):
            self._move(gainer, 1)
            return True
        taken: list[Claim] = []
        for loser in self._who_gives_way(gainer, rank):
            taken.append(loser)
            self._kept[loser.demand.tenant] -= 1
            self._move(loser, -1)
            if self._room.has(gainer.demand):
                break
        else:
            for loser in taken:
                self._kept[loser.demand.tenant] += 1
                self._move(loser, 1)
            return False
        for loser in taken:
            self._in_favour_of[loser.demand.tenant][gainer.demand.tenant] = None
        self._move(gainer, 1)
        return True

    def _who_gives_way(self, gainer: Claim, rank: Rank) -> Iterator[Claim]:
        """Those that give back a slot, the last in the order of service first, once for each slot."""
        while self._losers and not self._has_too_many(self._losers[0]):
            del self._losers[0]
        for loser in self._losers:
            if loser.rank(loser.num_running) <= rank:
                break  # and so do those that follow
            while self._can_give(loser, gainer) and loser.rank(self._kept[loser.demand.tenant] - 1) > rank:
                yield loser
        if not self._borrowers:
            return
        share = self._shares[gainer.demand.user] + self._share[gainer.demand.tenant]
        if gainer.cap is not None and share > gainer.cap + TOLERANCE:
            return
        for loser in self._borrowers:
            if loser.demand.user != gainer.demand.user:
                while self._can_give(loser, gainer) and self._borrows(loser):
                    yield loser

    def _can_give(self, loser: Claim, gainer: Claim) -> bool:
        """Whether a slot is left to take, and it has something of what is too little."""
        if not self._has_too_many(loser):
            return False
        gives, wants = loser.demand, gainer.demand
        if gives.gpu_kind == wants.gpu_kind and self._room.lacks_kind(wants):
            return True
        return (gives.cpus_per_slot > 0 and wants.cpus_per_slot > self._room.num_cpus + TOLERANCE) or (
            gives.gpus_per_slot > 0 and wants.gpus_per_slot > self._room.num_gpus + TOLERANCE
        )

    def _has_too_many(self, loser: Claim) -> bool:
        return self._kept[loser.demand.tenant] > self._slots[loser.demand.tenant]

    def _borrows(self, loser: Claim) -> bool:
        return loser.cap is not None and self._shares[loser.demand.user] > loser.cap + TOLERANCE

    def _move(self, claim: Claim, num_slots: int) -> None:
        self._room.take(claim.demand, num_slots)
        self._shares[claim.demand.user] += num_slots * self._share[claim.demand.tenant]


def _order(claim: Claim) -> tuple[Rank, str]:
    return claim.rank(claim.num_running), claim.demand.tenant
