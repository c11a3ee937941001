"""What is said to MLflow about one run, as data: it can wait on disk, and be said by another process."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The run is made, or, where it is there, goes on."""

    experiment_id: str
    name: str
    tags: Mapping[str, str]
    key: tuple[str, ...]
    """Those of the tags by which it is found again."""
    milliseconds: int
    """Since 1970, as everywhere in MLflow."""
    may_exist: bool
    """Whether a process that left no log may have made it."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """What does not change over a run, or is said once."""

    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    milliseconds: int = 0
    """When the metrics were measured."""


@dataclass(frozen=True, kw_only=True)
class DatasetUsed:
    """The dataset that a run reads."""

    name: str
    digest: str
    source: str
    profile: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One epoch. Said twice with the same time it is one for MLflow: key, time, step and value identify a metric."""

    step: int
    phase: int
    milliseconds: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Text:
    """A file of text."""

    path: str
    content: str


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Pictures of the training so far, drawn when they are sent: of the log's own epochs and of what lies beside it."""

    classes: tuple[str, ...]
    dataset_folder: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The run's status, FINISHED, FAILED or KILLED, with the tags that say why."""

    status: str
    tags: Mapping[str, str]
    milliseconds: int


Record = Opened | Described | DatasetUsed | Measured | Text | Drawn | Ended
_KINDS: dict[str, type[Record]] = {kind.__name__: kind for kind in (Opened, Described, DatasetUsed, Measured, Text, Drawn, Ended)}


def to_line(record: Record) -> bytes:
    """The record as one line of JSON."""
    return json.dumps({"kind": type(record).__name__, **asdict(record)}).encode() + b"\n"


def from_line(line: bytes) -> Record | None:
    """The record that `to_line` wrote; None for a line that was torn off, as where a process died while writing it."""
    try:
        tree: dict[str, Any] = json.loads(line)
        tree |= {name: tuple(value) for name, value in tree.items() if isinstance(value, list)}
        return _KINDS[tree.pop("kind")](**tree)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
