"""What a command in a terminal came to."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


Study = Callable[..., Done]
"""Runs the command line on a home."""
