"""Edits: what people change about a study, running or not; one line each, never changed afterwards."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from search_spaces.dimensions import Value
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace
from study.study_file.budget import Budget
from study.user import current_user
from trainables.whole_lines import append_line

EDITS_FILE = "edits.jsonl"

Kind = Literal[
    "stop", "resume", "extend", "pin", "unpin", "enqueue", "kill", "priority", "archive", "unarchive", "free"
]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change by one person."""

    kind: Kind
    user: str = field(default_factory=current_user)
    time: float = field(default_factory=time.time)
    """Seconds since 1970."""
    trials: int = 0
    """`extend`: more trials."""
    hours: float = 0.0
    """`extend`: more hours."""
    point: Mapping[str, Value] = field(default_factory=dict)
    """`pin`: values that hold from now on; `enqueue`: a configuration to try next."""
    dimensions: tuple[str, ...] = ()
    """`unpin`: those whose values are drawn again."""
    origin: str | None = None
    """`enqueue`: the named recipe it comes from."""
    trial: int | None = None
    """`kill`: the trial to end."""
    priority: int = 0
    """`priority`: in the queue of a shared cluster, from now on."""
    freed_weights: bool = False
    """`archive`, `free`: whether the weights of what is not registered were deleted."""


_EDIT = TypeAdapter(Edit)


def append_edit(folder: Path, edit: Edit) -> None:
    """Appends an edit to those of the study in `folder`; a running study sees it with its next epoch."""
    append_line(folder / EDITS_FILE, json.dumps(asdict(edit)))


def read_edits(folder: Path) -> tuple[Edit, ...]:
    """All edits of the study in `folder`, the earliest first."""
    return edits_in(edits_text(folder))


def edits_in(text: str) -> tuple[Edit, ...]:
    """The edits that stand in the text of such a file."""
    return tuple(_EDIT.validate_json(line) for line in text.splitlines())


def edits_text(folder: Path) -> str:
    """The edits as the file holds them, one line for each."""
    try:
        text = (folder / EDITS_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    return text[: text.rfind("\n") + 1]  # the last line may be half-written by somebody at this moment


def check_pins(space: SearchSpace, values: Mapping[str, Value]) -> None:
    """Raises SpaceError unless every value is one that its dimension can have."""
    for name, value in values.items():
        variants = space.variants(name)
        if not any(dimension.holds(value) for dimension in variants):
            raise SpaceError(f"{name} must lie in {', or '.join(map(str, variants))}, got {value!r}")


def is_stopped(edits: Iterable[Edit]) -> bool:
    """Whether the latest edit about stopping is to stop."""
    last = [edit.kind for edit in edits if edit.kind in ("stop", "resume")][-1:]
    return last == ["stop"]


def is_archived(edits: Iterable[Edit]) -> bool:
    """Whether the study is out of the list."""
    last = [edit.kind for edit in edits if edit.kind in ("archive", "unarchive")][-1:]
    return last == ["archive"]


def freed_weights(edits: Iterable[Edit]) -> bool:
    """Whether weights that going on would need were deleted, as `study archive` and `study gc` do."""
    return any(edit.freed_weights for edit in edits)


def extended_budget(budget: Budget, edits: Iterable[Edit]) -> Budget:
    """The budget with all that the edits add to it."""
    edits = list(edits)
    hours = None if budget.hours is None else budget.hours + sum(edit.hours for edit in edits)
    return budget.model_copy(
        update={"trials": budget.trials + sum(edit.trials for edit in edits), "hours": hours}
    )


def pinned(edits: Iterable[Edit]) -> dict[str, Value]:
    """The values that hold from now on, the latest of each dimension."""
    values: dict[str, Value] = {}
    for edit in edits:
        if edit.kind == "pin":
            values |= edit.point
        elif edit.kind == "unpin":
            values = {name: value for name, value in values.items() if name not in edit.dimensions}
    return values


def last_priority(edits: Iterable[Edit]) -> Edit | None:
    """The latest edit that gave the study another priority; None where it has that of its beginning."""
    return next(iter([edit for edit in edits if edit.kind == "priority"][-1:]), None)


def killed(edits: Iterable[Edit]) -> dict[int, str]:
    """Users by the trial that each of them killed."""
    return {edit.trial: edit.user for edit in edits if edit.kind == "kill" and edit.trial is not None}
