"""The disk space of checkpoints of trials that wait: those that would go on last give theirs up."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from study.search.record.checkpoints import checkpoint_bytes, delete_checkpoints
from study.search.record.trial import Trial

SHARE_OF_FREE = 0.5
"""Of the disk, that waiting trials may take where no limit is given."""


def bound_checkpoints(
    study_folder: Path, paused: Sequence[Trial], limit_bytes: float | None, merit: Callable[[float], float]
) -> tuple[int, ...]:
    """Deletes checkpoints of paused trials until the rest takes no more than the limit; returns whose.

    The worst trials of the lowest rung come first; a larger `merit` is better. Such a trial, should it go on
    after all, trains its first epochs again, and comes to the same. `limit_bytes` None is half of what is
    free or taken by them.
    """
    sizes = {trial.number: checkpoint_bytes(study_folder, trial.number) for trial in paused}
    taken = sum(sizes.values())
    limit = limit_bytes
    if limit is None:
        limit = SHARE_OF_FREE * (shutil.disk_usage(study_folder).free + taken)
    deleted = []
    for trial in sorted(paused, key=lambda one: (one.last_epoch, merit(one.value or 0.0))):
        if taken <= limit:
            break
        if sizes[trial.number]:
            delete_checkpoints(study_folder, [trial.number])
            taken -= sizes[trial.number]
            deleted.append(trial.number)
    return tuple(deleted)
