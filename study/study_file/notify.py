"""Who is told of a study where nobody watches it."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator

from study.errors import SpecError
from study.study_file.tags import check_plain
from study.written import Written


def _variable_name(written: Any) -> Any:
    if isinstance(written, str) and re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,63}", written):
        return written
    # What was written may be the address, which is shown to nobody.
    raise SpecError(
        "notify.webhook must be the name of an environment variable that holds the address, such as "
        "TEAM_WEBHOOK; the address itself is a secret and has no place in a study file"
    )


def _plain(command: str) -> str:
    check_plain("notify.command", command)
    return command


Command = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_plain)]
VariableName = Annotated[str, PlainValidator(_variable_name)]


class Notify(Written):
    """What is told of a study, and where, besides what `STUDY_NOTIFY` and `STUDY_NOTIFY_COMMAND` say.

    A webhook and a command get the same JSON: `text`, `study`, `event`, `state`, `user`, and for a new best
    `best` with `trial`, `metric`, `value`, `point`.
    """

    at: tuple[Literal["end", "failure", "best", "wait"], ...] = ("end", "failure", "wait")
    """When: at the `end` (also by `study stop`), at a `failure`, at a new `best` (a trial that has ended
    better than all before it, at most once a minute), at a long `wait` for a slot. `STUDY_NOTIFY_AT` comes
    first."""
    command: Command | None = Field(None, examples=["./tell-the-team"])
    """A command of the shell, run where the study's driver runs, which gets the JSON on its standard input.
    It stands in the study's folder for others to read: write no secret into it."""
    webhook: VariableName | None = Field(None, examples=["TEAM_WEBHOOK"])
    """The name of the environment variable that holds the address of a webhook. The address itself is a
    secret, and has no place in a study file."""
