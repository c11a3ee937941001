"""What a job answers to whoever submitted it: lines of its log, as the log is all that Ray's job server hands out."""

import json
from typing import Any, Literal

_MARK = "study-reply "
_OF_RAY = (" -- Runtime env is setting up.", "Running entrypoint for job ")
"""What Ray writes into every job's log."""

Kind = Literal["begun", "refused", "answer"]


def reply(kind: Kind, **content: Any) -> None:
    """Prints one answer: `begun`, `refused` with a `message`, or `answer` with `stdout`, `stderr` and a `code`."""
    print(_MARK + json.dumps({"kind": kind, **content}), flush=True)


def replies(log: str) -> tuple[dict[str, Any], ...]:
    """The answers in a log, in their order."""
    return tuple(json.loads(line.removeprefix(_MARK)) for line in log.splitlines() if line.startswith(_MARK) and line.endswith("}"))


def without_replies(log: str) -> str:
    """What a person wants to read of a log."""
    lines = log.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith((_MARK, _OF_RAY[1])) and not line.rstrip().endswith(_OF_RAY[0]))
