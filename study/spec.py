"""The study file: what a person writes, checked against nothing but itself."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from search_spaces.dimensions import Choice, Condition, Dimension, Float, Int, Value, none_of, one_of
from search_spaces.errors import SpaceError
from study.errors import SpecError
from study.names import NAME_PATTERN
from study.yaml_file import read_yaml
from trainables.metrics import METRICS

Name = Annotated[str, Field(pattern=NAME_PATTERN, description="letters, digits, '-', '_' and '.', at most 64")]
Scalar = bool | int | float | str


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Objective(_Written):
    """What the search optimises, always measured on the validation split."""

    metric: str = "macro_f1"

    def model_post_init(self, _: Any) -> None:
        if self.metric not in METRICS:
            raise SpecError(f"objective.metric must be one of {', '.join(METRICS)}, got {self.metric!r}")

    @property
    def maximise(self) -> bool:
        """Whether more of the metric is better."""
        return METRICS[self.metric] == "maximise"


class Budget(_Written):
    """What the study may spend."""

    trials: int = Field(20, ge=1, le=1_000_000)
    epochs: int = Field(10, ge=1, le=100_000)
    """Epochs of a trial that is not stopped early."""
    hours: float | None = Field(None, gt=0)
    """Wall-clock limit of the search; trials that run when it ends are stopped."""


class EarlyStopping(_Written):
    """Asynchronous successive halving (arXiv 1810.05934): at each rung only the best share of trials goes on."""

    rule: Literal["asha", "none"] = "asha"
    first_rung: float = Field(0.2, gt=0, lt=1)
    """Where the first rung lies, as a share of a trial's epochs."""
    reduction: int = Field(3, ge=2, le=16)
    """One trial in this many goes on; rungs grow by this factor."""


class Resources(_Written):
    """What one trial takes."""

    cpus_per_trial: int = Field(1, ge=1, le=1024)
    gpus_per_trial: float | Literal["auto"] = Field("auto")
    """`auto`: one GPU for each trial where there are any, none elsewhere; a fraction packs several trials on one."""
    max_concurrent: int | None = Field(None, ge=1)

    def model_post_init(self, _: Any) -> None:
        if self.gpus_per_trial != "auto" and self.gpus_per_trial < 0:
            raise SpecError(f"resources.gpus_per_trial must be auto or at least 0, got {self.gpus_per_trial}")


class ExtraDimension(_Written):
    """A dimension written in a study file: exactly one of `float`, `int`, `choice`."""

    float_: tuple[float, float] | None = Field(None, alias="float")
    int_: tuple[int, int] | None = Field(None, alias="int")
    choice: tuple[Scalar, ...] | None = None
    log: bool = False
    unit: str | None = None
    when: dict[str, Scalar | tuple[Scalar, ...] | dict[Literal["not"], Scalar | tuple[Scalar, ...]]] = {}

    def dimension(self, name: str) -> Dimension:
        """The dimension it describes. Raises SpecError or SpaceError if it contradicts itself."""
        given = [kind for kind, value in (("float", self.float_), ("int", self.int_), ("choice", self.choice)) if value is not None]
        if len(given) != 1:
            raise SpecError(f"extend.{name} needs exactly one of float, int, choice; got {', '.join(given) or 'none'}")
        when = {other: _condition(value) for other, value in self.when.items()}
        if self.float_ is not None:
            return Float(name=name, low=self.float_[0], high=self.float_[1], log=self.log, unit=self.unit, when=when)
        if self.int_ is not None:
            return Int(name=name, low=self.int_[0], high=self.int_[1], log=self.log, unit=self.unit, when=when)
        assert self.choice is not None
        return Choice(name=name, options=self.choice, unit=self.unit, when=when)


class StudySpec(_Written):
    """One study file."""

    study: Name
    dataset: Name
    search_space: str = "fine_tuning"
    """A named space, or `path/to/file.py:NAME`."""
    fix: dict[str, Scalar] = {}
    narrow: dict[str, tuple[Scalar, ...]] = {}
    extend: dict[str, ExtraDimension] = {}
    start_from: tuple[str | dict[str, Scalar], ...] = ()
    """Named recipes or points, tried first."""
    objective: Objective = Objective()
    budget: Budget = Budget()
    early_stopping: EarlyStopping = EarlyStopping()
    resources: Resources = Resources()
    reproduces: str | None = None
    """The named recipe whose stated result the study checks: every trial is measured on the test split, none is registered."""
    seed: int = Field(0, ge=0, lt=2**31)

    @classmethod
    def parse(cls, tree: object) -> "StudySpec":
        """The spec in `tree`, the content of a study file. Raises SpecError with every rule that it breaks, one a line."""
        if not isinstance(tree, dict):
            raise SpecError(
                f"a study file is a mapping of keys to values, got {_kind(tree)}; it starts with a line such as `study: my-study`"
            )
        if isinstance(tree.get("early_stopping"), str):
            tree = {**tree, "early_stopping": {"rule": tree["early_stopping"]}}
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise SpecError(_sentences(error)) from None

    @classmethod
    def read(cls, file: Path) -> "StudySpec":
        """The spec in a YAML file. Raises SpecError."""
        try:
            return cls.parse(read_yaml(file))
        except (SpecError, SpaceError) as error:
            raise SpecError(f"{file}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, all defaults written out; `parse` turns them back."""
        return self.model_dump(mode="json", by_alias=True)


def _condition(value: Any) -> Condition:
    if isinstance(value, dict):
        return none_of(*_many(value["not"]))
    return one_of(*_many(value))


def _many(value: Any) -> tuple[Value, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _sentences(error: ValidationError) -> str:
    return "\n".join(dict.fromkeys(_sentence(dict(problem)) for problem in error.errors()))


def _sentence(problem: dict[str, Any]) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return _unknown_key(problem["loc"])
    if problem["type"] == "missing":
        return f"{path} is missing"
    return f"{path}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}"


def _unknown_key(location: tuple[Any, ...]) -> str:
    model: Any = StudySpec
    for part in location[:-1]:
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        model = field.annotation if field else None
    known = list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown key {'.'.join(map(str, location))!r}; known here: {', '.join(known)}{hint}"


def _kind(tree: object) -> str:
    return "an empty file" if tree is None else f"a {type(tree).__name__}"
