"""The queue's memory: leases that run out, a queue that begins anew, and shares that are fair over time where trials cannot be halved."""

from dataclasses import asdict, dataclass, field

import pytest

from cluster.queue import LEASE_SECONDS, RENEWAL_SECONDS, Queue
from cluster.shares import Demand


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Driver:
    """A study whose trials sleep: it starts as many as it may, and never ends one early."""

    study: str
    user: str
    trial_seconds: float
    priority: int = 0
    wants: int = 100
    ends: list[float] = field(default_factory=list)
    granted: int = 0
    used: float = 0.0

    def renew(self, queue: Queue, cpus: int) -> None:
        demand = Demand(study=self.study, user=self.user, priority=self.priority, wants=self.wants, cpus=1.0, gpus=0.0)
        self.granted = queue.renew(float(cpus), 0.0, asdict(demand), len(self.ends))


def pass_time(queue: Queue, clock: Clock, drivers: list[Driver], cpus: int, seconds: float) -> None:
    """Trials end, free slots are taken, in turns of a renewal each; more than `cpus` never run."""
    until = clock.now + seconds
    while clock.now < until:
        for driver in drivers:
            driver.renew(queue, cpus)
        for driver in drivers:
            driver.ends = [end for end in driver.ends if end > clock.now]
        for driver in drivers:
            free = cpus - sum(len(one.ends) for one in drivers)
            num_new = max(min(free, driver.granted - len(driver.ends)), 0)
            driver.ends += [clock.now + driver.trial_seconds] * num_new
            driver.used += len(driver.ends) * RENEWAL_SECONDS
        clock.now += RENEWAL_SECONDS


def shares(drivers: list[Driver]) -> dict[str, float]:
    total = sum(driver.used for driver in drivers)
    return {driver.study: driver.used / total for driver in drivers}


def test_shares_are_fair_over_time_whatever_the_length_of_trials() -> None:
    """Seven slots: three and a half for each user. Long trials make nobody richer."""
    clock = Clock()
    drivers = [Driver("a1", "ada", 60), Driver("a2", "ada", 60), Driver("b1", "ben", 300), Driver("b2", "ben", 20)]
    pass_time(Queue(clock=clock), clock, drivers, cpus=7, seconds=4 * 3600)
    found = shares(drivers)
    assert found["a1"] + found["a2"] == pytest.approx(0.5, rel=0.1)
    for study, share in found.items():
        assert share == pytest.approx(0.25, rel=0.1), study


def test_fewer_slots_than_studies_go_round() -> None:
    clock = Clock()
    drivers = [Driver(f"s{number}", f"user-{number}", 60) for number in range(4)]
    pass_time(Queue(clock=clock), clock, drivers, cpus=1, seconds=4 * 3600)
    assert all(share == pytest.approx(0.25, rel=0.1) for share in shares(drivers).values())


def test_higher_priorities_first_and_what_they_leave_to_the_others() -> None:
    clock = Clock()
    high, low = Driver("high", "ada", 60, priority=1, wants=3), Driver("low", "ben", 60)
    pass_time(Queue(clock=clock), clock, [low, high], cpus=4, seconds=3600)
    assert (high.granted, low.granted) == (3, 1)


def test_a_user_s_cap_leaves_slots_empty() -> None:
    clock = Clock()
    drivers = [Driver("a1", "ada", 60), Driver("a2", "ada", 60)]
    pass_time(Queue(user_cap=0.5, clock=clock), clock, drivers, cpus=8, seconds=600)
    assert [driver.granted for driver in drivers] == [2, 2]


def test_a_driver_that_dies_loses_its_place_and_one_that_ends_gives_it_away_at_once() -> None:
    clock, alive, dead = Clock(), Driver("alive", "ada", 60), Driver("dead", "ben", 60)
    queue = Queue(clock=clock)
    pass_time(queue, clock, [alive, dead], cpus=8, seconds=60)
    assert alive.granted == 4
    pass_time(queue, clock, [alive], cpus=8, seconds=LEASE_SECONDS + 3 * RENEWAL_SECONDS)
    assert alive.granted == 8
    pass_time(queue, clock, [alive, dead], cpus=8, seconds=4)
    queue.leave("dead")
    alive.renew(queue, 8)
    assert alive.granted == 8


def test_a_queue_that_begins_anew_knows_all_after_their_next_renewal() -> None:
    clock = Clock()
    drivers = [Driver("a", "ada", 60), Driver("b", "ben", 60)]
    pass_time(Queue(clock=clock), clock, drivers, cpus=8, seconds=600)
    again = Queue(clock=clock)
    pass_time(again, clock, drivers, cpus=8, seconds=2 * RENEWAL_SECONDS)
    assert [driver.granted for driver in drivers] == [4, 4]
    assert again.studies().keys() == {"a", "b"}
