"""A server that answers for long does not grow."""

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from registering_tiny import Registry
from running_server import PNG, running

NUM_REQUESTS = 2_000
MOST_GROWTH = 2**24


@pytest.mark.slow
def test_memory_stays_flat(registered: Registry, digits: list[bytes]) -> None:
    process = psutil.Process()
    with running(registered.home) as served, ThreadPoolExecutor(8) as callers:

        def ask(number: int) -> int:
            wrong = number % 10 == 0
            body = b"no image" if wrong else digits[number % len(digits)]
            return served.post("/predict", body, PNG).status

        assert set(callers.map(ask, range(NUM_REQUESTS))) == {200, 400}
        before = process.memory_info().rss
        assert set(callers.map(ask, range(NUM_REQUESTS))) == {200, 400}
        assert process.memory_info().rss - before < MOST_GROWTH
