"""The study file: what a person writes, checked against nothing but itself."""

from collections.abc import Collection
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

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Dataset = Annotated[str, Field(pattern=rf"^(s3://[^/\s]+/([^/\s]+/)*)?{NAME_PATTERN.removeprefix('^')}")]

Objectives = Annotated[
    tuple[Objective, ...],
    BeforeValidator(lambda written: [written] if isinstance(written, dict) else written),
]


class StudySpec(Written):
    """One study file."""

    study: Name = Field(examples=["fer2013-freeze-depth"])
    """The study's name: letters, digits, `-`, `_` and `.`, at most 64."""
    dataset: Dataset = Field(examples=["fer2013"])
    """The dataset's name, or where it is published: `s3://bucket/folder/NAME`."""
    search_space: str = "fine_tuning"
    """A named space (`fine_tuning`, `from_scratch`, `everything`, `digits`, `given`), or one of your own:
    `path/to/file.py:NAME`."""
    fix: dict[str, Scalar] = Field(
        default_factory=dict, examples=[{"architecture": "resnet18", "image_size": 48}]
    )
    """Dimensions and the values that they have in every trial; any dimension can be fixed, also one that the
    space does not have."""
    narrow: dict[str, tuple[Scalar, ...]] = Field(
        default_factory=dict, examples=[{"learning_rate": [0.0001, 0.003], "optimizer": ["adam", "adamw"]}]
    )
    """Dimensions of the space and the part of their range that is searched: `[low, high]` of numbers, a list
    of the options kept."""
    extend: dict[str, ExtraDimension] = Field(
        default_factory=dict, examples=[{"learning_rate": {"float": [0.0001, 0.05], "log": True}}]
    )
    """Dimensions that are added to the space, or that take the place of those it has; applied before `fix`
    and `narrow`."""
    start_from: tuple[Start, ...] = Field(
        (), examples=[["fer-r18-freeze-l1", {"learning_rate": 0.001}, {"best": 3}]]
    )
    """Configurations that are tried first: names of recipes, points of your own, and after these the best of
    earlier studies."""
    objectives: Objectives = Field((Objective(),), alias="objective")
    """What the search optimises: one mapping, or a list of them. With several, the study looks for the Pareto
    front: the configurations that no other one beats in all objectives."""
    constraints: tuple[WrittenConstraint, ...] = Field((), examples=[["parameters_million <= 5"]])
    """Bounds that a configuration must keep to be the best, `NAME <= NUMBER` or `NAME >= NUMBER`, on metrics
    and measures; the sampler learns them."""
    sampler: Sampler = Field(Sampler(), examples=["random"])
    """How configurations are drawn: a rule's name, or a mapping."""
    search_storage: str | None = Field(None, examples=["postgresql://ada@db.example/studies"])
    """URL of the database that holds the study's state (`sqlite:///FILE`, `postgresql://…`, `mysql://…`); a
    file in the study's folder, unless given."""
    budget: Budget = Field(Budget(), examples=[{"trials": 40, "epochs": 30, "hours": 6}])
    """What the study may spend."""
    early_stopping: EarlyStopping = Field(EarlyStopping(), examples=[{"rule": "hyperband", "reduction": 4}])
    """Which trials are stopped before their last epoch: a rule's name, or a mapping."""
    confirm: Confirm | None = Field(None, examples=[{"top": 3, "seeds": 3}])
    """Further trainings of the best configurations; without them the best trial is registered as the search
    left it."""
    promotion: PromotionRules = Field(
        PromotionRules(), examples=[{"minimum_gain": 0.01, "max_latency_ms": 20}]
    )
    """What a registered version must show before it becomes the champion."""
    resources: Resources = Field(Resources(), examples=[{"gpus_per_trial": 0.25, "max_concurrent": 4}])
    """What one trial takes of the machine."""
    reproduces: str | None = Field(None, examples=["fer-cnn4-32x256"])
    """The named recipe whose stated result the study checks: every trial is measured on the test split, and
    none is registered."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The seed that every draw and every training of the study follows from."""

    def model_post_init(self, _: Any) -> None:
        """Raises SpecError where settings contradict each other."""
        check_objectives(self.objectives)
        most = self.sampler.abilities.max_objectives
        if most is not None and len(self.objectives) > most:
            raise SpecError(
                f"sampler {self.sampler.rule} takes one objective, got {len(self.objectives)}; use tpe, "
                "nsga2 or gp"
            )
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
        """The entries of `start_from` that name earlier studies."""
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
                f"a study file is a mapping of keys to values, got {_kind(tree)}; it starts with a line such "
                "as `study: my-study`"
            )
        short = [key for key in ("early_stopping", "sampler") if isinstance(tree.get(key), str)]
        try:
            return cls.model_validate({**tree, **{key: {"rule": tree[key]} for key in short}})
        except ValidationError as error:
            raise SpecError(_sentences(error, short)) from None

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
        return {
            **self.to_dict(),
            "search_storage": None if self.search_storage is None else without_password(self.search_storage),
        }


def _sentences(error: ValidationError, short: Collection[str]) -> str:
    return "\n".join(dict.fromkeys(_sentence(dict(problem), short) for problem in error.errors()))


def _sentence(problem: dict[str, Any], short: Collection[str]) -> str:
    """One rule that is broken, under the key that the person wrote: `sampler: tpe` is `short` for `sampler:
    {rule: tpe}`.
    """
    location = problem["loc"]
    if location[:1] and location[0] in short:
        location = location[:1]
    path = ".".join(str(part) for part in location)
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
