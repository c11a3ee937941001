"""The study file: what a person writes, checked against nothing but itself."""

import difflib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from search_spaces.errors import SpaceError
from study.errors import SpecError
from study.names import NAME_PATTERN
from study.spec.budget import Budget
from study.spec.early_stopping import EarlyStopping
from study.spec.extra_dimension import ExtraDimension, Scalar
from study.spec.objective import Objective
from study.spec.resources import Resources
from study.spec.written import Written
from study.yaml_file import read_yaml

Name = Annotated[str, Field(pattern=NAME_PATTERN, description="letters, digits, '-', '_' and '.', at most 64")]


class StudySpec(Written):
    """One study file."""

    study: Name
    dataset: Name
    search_space: str = "fine_tuning"
    """A named space, or `path/to/file.py:NAME`."""
    fix: dict[str, Scalar] = Field(default_factory=dict)
    narrow: dict[str, tuple[Scalar, ...]] = Field(default_factory=dict)
    extend: dict[str, ExtraDimension] = Field(default_factory=dict)
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
