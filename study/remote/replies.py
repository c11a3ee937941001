"""What a job answers to whoever submitted it: lines of its log, as the log is all that Ray's job server hands
out.
"""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

_MARK = "study-reply "
_OF_RAY = (" -- Runtime env is setting up.", "Running entrypoint for job ")
"""What Ray writes into every job's log."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """The study has begun on the cluster, or the adding of a dataset."""

    kind: Literal["begun"] = "begun"
    home: str
    """STUDY_HOME there."""
    user: str
    """Who owns it: whoever began the study, not whoever resumed it."""
    priority: int


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The study had come to its end before; nothing was left to do."""

    kind: Literal["finished"] = "finished"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The study was refused, and nothing is left of it on the cluster."""

    kind: Literal["refused"] = "refused"
    message: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command printed on the cluster."""

    kind: Literal["answer"] = "answer"
    stdout: str
    stderr: str
    code: int
    """Its exit code."""


Reply = Begun | Finished | Refused | Answer
_REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])


def print_reply(reply: Reply) -> None:
    """Prints one reply into the job's log."""
    print(reply_line(reply), flush=True)


def reply_line(reply: Reply) -> str:
    """A reply as `replies` finds it."""
    tree = {key: _in_utf8(value) for key, value in asdict(reply).items()}
    return _MARK + json.dumps(tree)


def _in_utf8(value: object) -> object:
    """Bytes of names that are no UTF-8, which JSON cannot carry, become question marks."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def replies(log: str) -> tuple[Reply, ...]:
    """The replies in a log, the first first.

    A line that is still being written is left out, and so is one that is no reply: whatever runs in the job
    may print what it likes.
    """
    found = (_reply(line.removeprefix(_MARK)) for line in log.splitlines() if line.startswith(_MARK))
    return tuple(reply for reply in found if reply is not None)


def _reply(text: str) -> Reply | None:
    try:
        return _REPLY.validate_json(text)
    except ValidationError:
        return None


def without_replies(log: str) -> str:
    """What a person wants to read of a log."""
    lines = log.splitlines(keepends=True)
    return "".join(
        line
        for line in lines
        if not line.startswith((_MARK, _OF_RAY[1])) and not line.rstrip().endswith(_OF_RAY[0])
    )
