"""Which tests run in one process, one after the other, where several processes run the tests: those that
share a server or a cluster.
"""

import os
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/end_to_end", "tests/cluster", "tests/registry")
"""Folders whose tests share what takes long to start. They come first, as they take longest; of the others
each file is one piece."""
MOST_PROCESSES = 4
"""More would not end sooner than the folders above."""


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
    items.sort(key=lambda item: piece_of(item.nodeid) not in TOGETHER)


class ByWhatTheyShare(LoadScopeScheduling):
    """Hands out pieces."""

    def _split_scope(self, nodeid: str) -> str:
        return piece_of(nodeid)
