"""What a process spends its time on, one thing at a time, so that the parts add up to the whole."""

import time
from collections.abc import Mapping

TRAINING = ("features", "augmentation", "forward", "backward", "optimizer", "step")
"""Spans in which a network learns. `features` is the output of frozen layers that is computed once. A GPU,
which computes by itself, has `step` in place of the four before: to tell them apart, one would have to wait
for it."""
BESIDE = ("start", "data", "validation", "weights", "logging", "idle", "lost")
"""Spans in which it does not: `start` makes a process and a training ready (imports, images, network), `data`
waits for images, `weights` writes checkpoints and kept weights, `idle` waits for the study's driver, `lost`
went into an epoch that an error ended."""
SPANS = ("start", "data", *TRAINING, "validation", "weights", "logging", "idle", "lost")
"""All of them, in the order in which a trial comes to them."""
OF_EPOCHS = ("data", *TRAINING, "validation")
"""Those within the epochs of a training."""


class Stopwatch:
    """Seconds by span. A lap reads a clock once, and waits for no device."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """Since they were last taken."""
        self._since = time.perf_counter()

    def lap(self, span: str) -> None:
        """Counts the time since the last lap or split as `span`."""
        now = time.perf_counter()
        self.seconds[span] = self.seconds.get(span, 0.0) + now - self._since
        self._since = now

    def split(self) -> float:
        """The time since the last lap or split, which is counted as no span."""
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        return seconds

    def add(self, span: str, seconds: float) -> None:
        """Counts seconds that were measured elsewhere."""
        self.seconds[span] = self.seconds.get(span, 0.0) + seconds

    def take(self) -> dict[str, float]:
        """The seconds so far, which are counted anew from here."""
        taken, self.seconds = self.seconds, {}
        return taken


def added(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Both together, span by span."""
    return {span: one.get(span, 0.0) + other.get(span, 0.0) for span in {**one, **other}}
