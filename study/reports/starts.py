"""What a study starts from, as it is said before anything starts: each configuration of an earlier study, and those passed over."""

from collections.abc import Mapping

from search_spaces.dimensions import Value
from study.reports.terminal import number_text
from study.starting.earlier import EarlierStart, EarlierStarts


def earlier_sentences(found: EarlierStarts) -> tuple[str, ...]:
    """One sentence for each trial of an earlier study that is tried, or that cannot be, and where there are fewer than asked."""
    used = (_used(one) for one in found.used)
    unused = (f"not used: {one.candidate}, because {one.reason}" for one in found.unused)
    return (*used, *unused, *found.missing)


def _used(found: EarlierStart) -> str:
    changed = found.start.overridden
    fixed = f", where the study fixes {', '.join(f'{name} (there: {value})' for name, value in changed.items())}" if changed else ""
    return f"starts from {found.candidate}{fixed}: {_written(found.start.point)}"


def _written(point: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {number_text(value)}" for name, value in point.items())
