"""Ageing: a tenant that waits for its first slot rises, so that nobody waits for ever."""

from dataclasses import dataclass

SECONDS_PER_POINT = 3600.0
"""Of waiting without a slot, for one point of priority."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """How long a tenant waited without a slot, and how long it has had one since."""

    waited_seconds: float = 0.0
    held_seconds: float = 0.0

    def after(self, seconds: float, *, holds_slot: bool) -> "Wait":
        """The same, some time later. A tenant that has held slots for as long as it waited begins anew."""
        if not holds_slot:
            return Wait(waited_seconds=self.waited_seconds + seconds, held_seconds=self.held_seconds)
        held_seconds = self.held_seconds + seconds
        if held_seconds >= self.waited_seconds:
            return Wait()
        return Wait(waited_seconds=self.waited_seconds, held_seconds=held_seconds)


def first_priority(priority: int, wait: Wait, highest: int) -> int:
    """The priority of a tenant's first slot: a point more for each hour that it waited.

    It rises to the highest priority of the queue at most, where slots are shared among equals.
    """
    return max(priority, min(priority + int(wait.waited_seconds / SECONDS_PER_POINT), highest))
