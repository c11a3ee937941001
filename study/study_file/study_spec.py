"""The study file: what a person writes, checked against nothing but itself."""

from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_serializer

from search_spaces.errors import SpaceError, did_you_mean
from study.connections.database_url import check_form, without_password
from study.errors import SpecError
from study.names import NAME_PATTERN
from study.stopping.early_stopping import EarlyStopping
from study.study_file.budget import Budget, Confirm, check_confirmable
from study.study_file.constraint import WrittenConstraint
from study.study_file.extra_dimension import ExtraDimension, Scalar
from study.study_file.objective import Objective, check_objectives
from study.study_file.pbt_settings import check_population
from study.study_file.promotion_rules import PromotionRules
from study.study_file.resources import Resources
from study.study_file.sampler import Sampler
from study.study_file.start_from import EarlierBest, Start
from study.written import Written
from study.yaml_file import read_yaml

Name = Annotated[str, Field(pattern=NAME_PATTERN, description="letters, digits, '-', '_' and '.', at most 64")]
Dataset = Annotated[str, Field(pattern=rf"^(s3://[^/\s]+/([^/\s]+/)*)?{NAME_PATTERN.removeprefix('^')}")]

Objectives = Annotated[tuple[Objective, ...], BeforeValidator(lambda written: [written] if isinstance(written, dict) else written)]


class StudySpec(Written):
    """One study file."""

    study: Name
    dataset: Dataset
    """A name, or where it is published: `s3://bucket/folder/NAME`."""
    search_space: str = "fine_tuning"
    """A named space, or `path/to/file.py:NAME`."""
    fix: dict[str, Scalar] = Field(default_factory=dict)
    narrow: dict[str, tuple[Scalar, ...]] = Field(default_factory=dict)
    extend: dict[str, ExtraDimension] = Field(default_factory=dict)
    start_from: tuple[Start, ...] = ()
    """Named recipes or points, tried first, and after them the best of earlier studies."""
    objectives: Objectives = Field((Objective(),), alias="objective")
    """One mapping, or a list of them: with several, the study looks for the configurations of which none is
    better in all.
    """
    constraints: tuple[WrittenConstraint, ...] = ()
    """What a configuration must keep to be the best, such as `parameters_million <= 5`; the sampler learns
    it.
    """
    sampler: Sampler = Sampler()
    search_storage: str | None = None
    """The database that holds the study's state; a file in its folder where there is none."""
    budget: Budget = Budget()
    early_stopping: EarlyStopping = EarlyStopping()
    confirm: Confirm | None = None
    """Further trainings of the best configurations; without them the best trial is registered as the search
    left it.
    """
    promotion: PromotionRules = PromotionRules()
    """What a registered version must show before it is promoted."""
    resources: Resources = Resources()
    reproduces: str | None = None
    """The named recipe whose stated result the study checks: every trial is measured on the test split, none
    is registered.
    """
    seed: int = Field(0, ge=0, lt=2**31)

    def model_post_init(self, _: Any) -> None:
        """Raises SpecError where settings contradict each other."""
        check_objectives(self.objectives)
        most = self.sampler.abilities.max_objectives
        if most is not None and len(self.objectives) > most:
            raise SpecError(f"sampler {self.sampler.rule} takes one objective, got {len(self.objectives)}; use tpe, nsga2 or gp")
        if self.search_storage is not None:
            check_form(self.search_storage)
        check_population(self.early_stopping, self.budget, self.sampler, len(self.objectives))
        if self.confirm is not None:
            check_confirmable(self.confirm, self.budget, self.early_stopping)

    @property
    def objective(self) -> Objective:
        """The first objective: trials are ranked, stopped and chosen by it."""
        return self.objectives[0]

    @property
    def earlier(self) -> tuple[EarlierBest, ...]:
        """What is looked for in earlier studies."""
        return tuple(item for item in self.start_from if isinstance(item, EarlierBest))

    @field_serializer("objectives")
    def _objectives_written(self, objectives: tuple[Objective, ...]) -> Any:
        written = [objective.model_dump() for objective in objectives]
        return written[0] if len(written) == 1 else written

    @field_serializer("sampler")
    def _sampler_written(self, sampler: Sampler) -> Any:
        return sampler.written()

    @classmethod
    def parse(cls, tree: object) -> "StudySpec":
        """The spec in `tree`, the content of a study file. Raises SpecError with every rule that it breaks,
        one a line.
        """
        if not isinstance(tree, dict):
            raise SpecError(
                f"a study file is a mapping of keys to values, got {_kind(tree)}; it starts with a line such as `study: my-study`"
            )
        tree = {**tree, **{key: {"rule": tree[key]} for key in ("early_stopping", "sampler") if isinstance(tree.get(key), str)}}
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

    def to_public_dict(self) -> dict[str, Any]:
        """The same without the password that `search_storage` may hold, for where others read it."""
        return {**self.to_dict(), "search_storage": None if self.search_storage is None else without_password(self.search_storage)}


def _sentences(error: ValidationError) -> str:
    return "\n".join(dict.fromkeys(_sentence(dict(problem)) for problem in error.errors()))


def _sentence(problem: dict[str, Any]) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return _unknown_key(problem["loc"])
    if isinstance(own := problem.get("ctx", {}).get("error"), SpecError):
        return str(own)
    if problem["type"] == "missing":
        return f"{path} is missing"
    return f"{path}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r}"


def _unknown_key(location: tuple[Any, ...]) -> str:
    names = [str(part) for part in location if isinstance(part, str)]
    model: type[BaseModel] | None = StudySpec
    for name in names[:-1]:
        fields = {field.alias or key: field for key, field in model.model_fields.items()} if model else {}
        model = _model_in(fields[name].annotation) if name in fields else None
    known = [field.alias or key for key, field in model.model_fields.items()] if model else []
    return f"unknown key {'.'.join(names)!r}; known here: {', '.join(known)}{did_you_mean(names[-1], known)}"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as `tuple[Objective, ...]` is about."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _kind(tree: object) -> str:
    return "an empty file" if tree is None else f"a {type(tree).__name__}"
