"""Lineages: the trials that weights went through where one trial went on from another's checkpoint."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from search_spaces.dimensions import Value
from study.names import trial_name
from study.search.record.continuation import Continues, Stretch
from study.search.record.trial import Trial


def continuing(parent: Trial, epoch: int, replaces: int) -> Continues:
    """The beginning of a trial that goes on from the checkpoint that `parent` had after `epoch`, in the place
    of trial `replaces`.
    """
    *earlier, last = lineage(parent)
    before = (
        *earlier,
        Stretch(trial=parent.number, first_epoch=last.first_epoch, last_epoch=epoch, point=parent.point),
    )
    return Continues(trial=parent.number, epoch=epoch, replaces=replaces, before=before)


def lineage(trial: Trial) -> tuple[Stretch, ...]:
    """The epochs of all trials that a trial's weights went through, its own last, each with the values that
    held there.
    """
    begun = trial.continues
    first = 1 if begun is None else begun.epoch + 1
    own = Stretch(
        trial=trial.number, first_epoch=first, last_epoch=max(trial.last_epoch, first), point=trial.point
    )
    return (own,) if begun is None else (*begun.before, own)


def lineage_text(stretches: Sequence[Stretch]) -> str:
    """Such as: epochs 1 to 4 trial-0003, 5 to 20 trial-0012."""
    return "epochs " + ", ".join(
        f"{stretch.first_epoch} to {stretch.last_epoch} {trial_name(stretch.trial)}" for stretch in stretches
    )


def lineage_rows(trial: Trial) -> list[dict[str, Any]]:
    """A lineage as plain values."""
    return [asdict(stretch) for stretch in lineage(trial)]


def changed_values(stretches: Sequence[Stretch]) -> dict[str, tuple[Value | None, ...]]:
    """The values of each dimension that changed on the way, one for each stretch."""
    columns = {name: tuple(stretch.point.get(name) for stretch in stretches) for name in stretches[-1].point}
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def replaced(trials: Iterable[Trial]) -> set[int]:
    """Numbers of the trials whose place another one took: the others are as many as the budget's trials."""
    return {trial.continues.replaces for trial in trials if trial.continues is not None}
