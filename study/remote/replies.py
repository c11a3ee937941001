"""What a job answers to whoever submitted it: lines of its log, as the log is all that Ray's job server hands
out.
"""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

_MARK = "study-reply "
_OF_RAY = (" -- Runtime env is setting up.", "Running entrypoint for job ")
"""What Ray writes into every job's log."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """The study has begun on the cluster."""

    kind: Literal["begun"] = "begun"
    home: str
    """STUDY_HOME there."""


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


Reply = Begun | Refused | Answer
_REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])


def print_reply(reply: Reply) -> None:
    """Prints one reply into the job's log."""
    print(_MARK + json.dumps(asdict(reply)), flush=True)


def replies(log: str) -> tuple[Reply, ...]:
    """The replies in a log, the first first; a line that is still being written is left out."""
    lines = (line for line in log.splitlines() if line.startswith(_MARK) and line.endswith("}"))
    return tuple(_REPLY.validate_json(line.removeprefix(_MARK)) for line in lines)


def without_replies(log: str) -> str:
    """What a person wants to read of a log."""
    lines = log.splitlines(keepends=True)
    return "".join(
        line
        for line in lines
        if not line.startswith((_MARK, _OF_RAY[1])) and not line.rstrip().endswith(_OF_RAY[0])
    )
