"""Which tests run in one process, one after the other, where several processes run the tests: those that
share a server or a cluster.
"""

import os
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/end_to_end", "tests/cluster", "tests/registry", "tests/study/serving")
"""Folders whose tests share what takes long to start. Of the others each file is one piece."""
LONGEST = (
    "tests/end_to_end",
    "tests/registry",
    "tests/training/test_recipe_training.py",
    "tests/driver_processes/test_interrupted_study.py",
    "tests/upstream/test_ray.py",
    "tests/robustness/test_named_moments.py",
)
"""Pieces that take more than a minute, the longest first: begun last, one of them would run alone."""
MOST_PROCESSES = 4
"""More would not end sooner than the longest piece."""


def num_processes(config: pytest.Config) -> int:
    """As many as there are cores for the whole suite, none beside this one for some files or for slow tests,
    which need all cores.
    """
    is_whole = all(Path(argument).is_dir() for argument in config.args)
    cores = min(len(os.sched_getaffinity(0)), MOST_PROCESSES)
    return cores if is_whole and cores > 1 and config.option.markexpr != "slow" else 0


def piece_of(test: str) -> str:
    """The tests that run with this one: its folder or its file."""
    file = test.partition("::")[0]
    return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)


def longest_first(items: list[pytest.Item]) -> None:
    """Sorts tests so that what takes longest begins first."""
    rank = {piece: position for position, piece in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(piece_of(item.nodeid), len(LONGEST)))


class ByWhatTheyShare(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out pieces."""

    def _split_scope(self, nodeid: str) -> str:
        return piece_of(nodeid)
