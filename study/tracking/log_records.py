"""What a run logs to MLflow, as data: it can wait on disk, and another process can send it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The run is made, or, where it is there, goes on."""

    kind: Literal["opened"] = "opened"
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
    """What does not change over a run, or is logged once."""

    kind: Literal["described"] = "described"
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    milliseconds: int = 0
    """When the metrics were measured."""


@dataclass(frozen=True, kw_only=True)
class DatasetUsed:
    """The dataset that a run reads."""

    kind: Literal["dataset_used"] = "dataset_used"
    name: str
    digest: str
    source: str
    profile: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One epoch. Sent twice with the same time it is one for MLflow: key, time, step and value identify a
    metric.
    """

    kind: Literal["measured"] = "measured"
    step: int
    phase: int
    milliseconds: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Text:
    """A file of text."""

    kind: Literal["text"] = "text"
    path: str
    content: str


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures of the training so far: they are drawn from the log's epochs when the record is sent."""

    kind: Literal["pictures"] = "pictures"
    classes: tuple[str, ...]
    dataset_folder: str
    is_folded: bool = False
    """Whether their images are those of train and validation together, not of the validation split."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The run's status, FINISHED, FAILED or KILLED, with the tags that say why."""

    kind: Literal["ended"] = "ended"
    status: str
    tags: Mapping[str, str]
    milliseconds: int


LogRecord = Opened | Described | DatasetUsed | Measured | Text | Pictures | Ended
_LOG_RECORD: TypeAdapter[LogRecord] = TypeAdapter(Annotated[LogRecord, Field(discriminator="kind")])


def to_line(record: LogRecord) -> bytes:
    """The record as one line of JSON."""
    return json.dumps(asdict(record)).encode() + b"\n"


def from_line(line: bytes) -> LogRecord | None:
    """The record that `to_line` wrote; None for a line that a dying process left unfinished."""
    try:
        return _LOG_RECORD.validate_json(line)
    except ValidationError:
        return None
