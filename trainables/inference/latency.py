"""How long a prediction takes."""

import statistics
import time
from collections.abc import Callable

NUM_TRIES = 9


def median_seconds(predict: Callable[[], object]) -> float:
    """The median time of a few calls of `predict`, which must wait for its device."""
    times = []
    for _ in range(NUM_TRIES):
        start = time.perf_counter()
        predict()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
