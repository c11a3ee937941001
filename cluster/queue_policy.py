"""The operator's policy for the queue of a shared cluster: one YAML file, which only the operator writes.

everybody: {max_priority: 5, cap: 0.5, gpu_hours_per_month: 400}
people:
  ada: {max_priority: 100, gpu_hours_per_month: null}
gpu_hours_file: /study/gpu_hours.json
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cluster.errors import PolicyError

POLICY_VARIABLE = "STUDY_QUEUE_POLICY"
"""The environment variable that names the file, set where Ray is started."""


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Allowance(_Written):
    """What one person may have of the queue; None is no limit."""

    max_priority: int | None = None
    """The highest priority that the person may give to a study."""
    cap: float | None = Field(None, gt=0, le=1)
    """The largest share of the cluster that the person's studies hold while others want slots."""
    gpu_hours_per_month: float | None = Field(None, ge=0)
    """GPU hours in a calendar month (UTC), after which the person's studies come behind all others."""


class QueuePolicy(_Written):
    """The whole file. What it does not say is not limited."""

    everybody: Allowance = Allowance()
    """What holds for each person of whom `people` says nothing else."""
    people: Mapping[str, Allowance] = Field(default_factory=dict)
    """By the name under which studies are noted (STUDY_USER). A key that is left away is as for everybody,
    one that is null is not limited.
    """
    gpu_hours_file: str | None = None
    """Where the queue keeps the GPU hours that people used, so that they survive it: the absolute path of a
    file in a folder that all nodes share.
    """

    def of(self, user: str) -> Allowance:
        """What one person may have."""
        own = self.people.get(user)
        if own is None:
            return self.everybody
        return self.everybody.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})

    @model_validator(mode="after")
    def _hours_are_kept(self) -> "QueuePolicy":
        allowances = (self.everybody, *self.people.values())
        file = self.gpu_hours_file
        if file is None and any(one.gpu_hours_per_month is not None for one in allowances):
            raise ValueError(
                "gpu_hours_per_month needs gpu_hours_file, the path of a file on the shared folder where the "
                "hours are kept; add gpu_hours_file: /study/gpu_hours.json"
            )
        if file is not None and not Path(file).is_absolute():
            raise ValueError(
                f"gpu_hours_file is an absolute path, such as /study/gpu_hours.json, got {file!r}"
            )
        return self


def read_policy(file: Path) -> QueuePolicy:
    """The policy in a file. Raises PolicyError, with one line for each mistake."""
    try:
        tree: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(file, f"cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _refused(file, f"is not YAML: {' '.join(str(error).split())}") from None
    try:
        return QueuePolicy.model_validate({} if tree is None else tree)
    except ValidationError as error:
        mistakes = (_sentence(one["loc"], one["msg"], one["input"]) for one in error.errors())
        raise _refused(file, "; ".join(mistakes)) from None


class PolicyFile:
    """A policy that is read again when its file changes. While the file is wrong, the last good one holds."""

    def __init__(self, file: Path | None) -> None:
        """Reads nothing yet; None is a policy without limits."""
        self._file = file
        self._is_read = False
        self._state: tuple[int, int] | None = None
        self._policy = QueuePolicy()
        self.problem: str | None = None
        """Why the file as it stands is not followed; None where it is."""

    def current(self) -> QueuePolicy:
        """The policy that holds now."""
        if self._file is None:
            return self._policy
        state = _state(self._file)
        if not self._is_read or state != self._state:
            self._is_read, self._state = True, state
            try:
                self._policy, self.problem = read_policy(self._file), None
            except PolicyError as error:
                self.problem = str(error)
        return self._policy


def _state(file: Path) -> tuple[int, int] | None:
    """What changes with the file; None where it is missing."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _refused(file: Path, why: str) -> PolicyError:
    return PolicyError(f"the policy of the cluster's queue, {POLICY_VARIABLE}={file}, {why}")


def _sentence(path: tuple[str | int, ...], rule: str, given: object) -> str:
    rule = rule.removeprefix("Value error, ")
    return f"{'.'.join(map(str, path))}: {rule}, got {given!r}" if path else rule
