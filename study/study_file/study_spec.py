"""The study file: what a person writes, checked against nothing but itself."""

import re
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field, PrivateAttr, ValidationError, field_serializer

from search_spaces.errors import did_you_mean
from study.connections.database_url import check_form, without_password
from study.errors import SpecError
from study.names import NAME_PATTERN
from study.stopping.early_stopping import EarlyStopping
from study.study_file.budget import Budget, Confirm, check_confirmable
from study.study_file.constraint import WrittenConstraint
from study.study_file.extra_dimension import ExtraDimension
from study.study_file.mistakes import Mistakes, Origin, dotted
from study.study_file.notify import Notify
from study.study_file.objective import Objective, check_objectives, check_reach
from study.study_file.pbt_settings import check_population
from study.study_file.promotion_rules import PromotionRules
from study.study_file.resources import Resources
from study.study_file.sampler import Sampler
from study.study_file.start_from import EarlierBest, Start
from study.study_file.tags import About, Tags
from study.study_file.validation import Validation, check_folds
from study.written import LARGEST_WHOLE, Scalar, Written, with_lists
from study.yaml_file import Key, read_document
from trainables.printable import cut, printable, quoted

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Dataset = Annotated[str, Field(pattern=rf"^(s3://[^/\s]+/([^/\s]+/)*)?{NAME_PATTERN.removeprefix('^')}")]


def _several(written: Any) -> Any:
    if isinstance(written, dict):
        return (written,)
    if not isinstance(written, tuple):
        raise SpecError(
            f"objective is a mapping such as {{metric: macro_f1}}, or a list of them, got {quoted(written)}"
        )
    return written


Objectives = Annotated[tuple[Objective, ...], BeforeValidator(_several)]


class StudySpec(Written):
    """One study file."""

    study: Name = Field(examples=["fer2013-freeze-depth"])
    """The study's name: letters, digits, `-`, `_` and `.`, at most 64."""
    dataset: Dataset = Field(examples=["fer2013"])
    """The dataset's name, or where it is published: `s3://bucket/folder/NAME`."""
    about: About | None = Field(None, examples=["Does freezing the first stages cost anything?"])
    """What the study is for, in a sentence or a paragraph of at most 1,000 characters; shown by `study show`
    and by MLflow."""
    tags: Tags = Field(default_factory=dict, examples=[{"owner": "ada", "purpose": "baseline"}])
    """Names and texts by which the study is found again, in MLflow and by `study list --tag owner=ada`."""
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
    validation: Validation | None = Field(None, alias="validate", examples=[{"folds": 5}])
    """Cross-validation, for small data: each trial's value is the mean over folds of the train and validation
    images; without it, trials are compared on the validation split."""
    confirm: Confirm | None = Field(None, examples=[{"top": 3, "seeds": 3}])
    """Further trainings of the best configurations; without them the best trial is registered as the search
    left it."""
    ensemble: Literal["auto", "seeds", "none"] = "auto"
    """Which means of several networks are candidates beside the single one: `seeds`, that of the seeds of the
    confirmed configuration; `auto`, also a greedy selection of the trainings whose weights the study keeps,
    where it is better on validation by more than its standard error; `none`."""
    promotion: PromotionRules = Field(
        PromotionRules(), examples=[{"minimum_gain": 0.01, "max_latency_ms": 20}]
    )
    """What a registered version must show before it becomes the champion."""
    resources: Resources = Field(Resources(), examples=[{"gpus_per_trial": 0.25, "max_concurrent": 4}])
    """What one trial takes of the machine."""
    notify: Notify = Field(
        Notify(), examples=[{"at": ["best", "end", "failure"], "command": "./tell-the-team"}]
    )
    """Who is told of the study where nobody watches it."""
    reproduces: str | None = Field(None, examples=["fer-cnn4-32x256"])
    """The named recipe whose stated result the study checks: every trial is measured on the test split, and
    none is registered."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The seed that every draw and every training of the study follows from."""

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @property
    def origin(self) -> Origin:
        """The file that it was read from, if any."""
        return self._origin

    def note_origin(self, origin: Origin) -> None:
        """Keeps where it was read from, for the messages of later checks."""
        self._origin = origin

    @property
    def objective(self) -> Objective:
        """The first objective: trials are ranked, stopped and chosen by it."""
        return self.objectives[0]

    @property
    def num_folds(self) -> int | None:
        """Into how many folds the images of train and validation are divided; None where they are not."""
        return None if self.validation is None else self.validation.folds

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
    def parse(cls, tree: object, origin: Origin | None = None) -> "StudySpec":
        """The spec in `tree`, the content of a study file. Raises SpecError with every rule that it breaks,
        one a line.
        """
        origin = origin or Origin()
        mistakes = Mistakes(origin)
        if not isinstance(tree, dict):
            raise SpecError(
                f"{origin.place(())}a study file is a mapping of keys to values, got {_kind(tree)}; "
                "it starts with a line such as `study: my-study`"
            )
        short = [key for key in ("early_stopping", "sampler") if isinstance(tree.get(key), str)]
        try:
            spec = cls.model_validate({**tree, **{key: {"rule": tree[key]} for key in short}})
        except ValidationError as error:
            _collect(error, short, mistakes)
            mistakes.refuse()
            raise AssertionError("pydantic names what it refuses") from error
        spec.note_origin(origin)
        _check_together(spec, mistakes)
        mistakes.refuse()
        return spec

    @classmethod
    def read(cls, file: Path) -> "StudySpec":
        """The spec in a YAML file. Raises SpecError, each line of which names the file."""
        try:
            document = read_document(file)
        except SpecError as error:
            raise SpecError(f"{cut(str(file))}: {error}") from None
        return cls.parse(document.tree, Origin(file=file, lines=document.lines))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, all defaults written out; `parse` turns them back."""
        return self.model_dump(mode="json", by_alias=True)

    def to_public_dict(self) -> dict[str, Any]:
        """The same without the password that `search_storage` may hold, and without the command of `notify`,
        for where others read it.
        """
        tree = self.to_dict()
        return {
            **tree,
            "notify": {**tree["notify"], "command": None},
            "search_storage": None if self.search_storage is None else without_password(self.search_storage),
        }


def _check_together(spec: StudySpec, mistakes: Mistakes) -> None:
    """Takes in where settings contradict each other."""
    with mistakes.of("objective"):
        check_objectives(spec.objectives)
        check_reach(spec.objective, spec.budget.target, spec.promotion.minimum_gain)
    with mistakes.of("sampler"):
        most = spec.sampler.abilities.max_objectives
        if most is not None and len(spec.objectives) > most:
            raise SpecError(
                f"sampler {spec.sampler.rule} takes one objective, got {len(spec.objectives)}; use tpe, "
                "nsga2 or gp"
            )
    with mistakes.of("search_storage"):
        if spec.search_storage is not None:
            check_form(spec.search_storage)
    with mistakes.of("early_stopping"):
        check_population(spec.early_stopping, spec.budget, spec.sampler, len(spec.objectives))
    with mistakes.of("validate"):
        if spec.validation is not None:
            check_folds(spec.early_stopping, spec.resources, spec.reproduces)
    with mistakes.of("confirm"):
        if spec.confirm is not None:
            check_confirmable(spec.confirm, spec.budget, spec.early_stopping)


def _collect(error: ValidationError, short: Collection[str], mistakes: Mistakes) -> None:
    for problem in error.errors(include_url=False):
        path = tuple(problem["loc"])
        if path and path[0] in short:  # `sampler: tpe` stands for `sampler: {rule: tpe}`
            path = path[:1]
        mistakes.add(path, partial(_sentence, dict(problem), path))


def _sentence(problem: Mapping[str, Any], path: tuple[Key, ...]) -> str:
    """One rule that is broken, under the key that the person wrote."""
    if problem["type"] == "extra_forbidden":
        return _unknown_key(problem["loc"])
    own = problem.get("ctx", {}).get("error")
    if isinstance(own, SpecError):
        return str(own)
    name = printable(dotted(path))
    if problem["type"] == "missing":
        return f"{name} is missing"
    rule = _RULES.get(problem["type"], problem["msg"][0].lower() + problem["msg"][1:])
    rule = rule.format(**{key: _word(value) for key, value in problem.get("ctx", {}).items()})
    return f"{name} {rule}, got {_got(problem['input'])}{_way_out(problem)}"


def _word(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


_RULES: Mapping[str, str] = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "too_long": "must be a list of {max_length}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "value_error": "{error}",
    "string_pattern_mismatch": (
        "must be a name of at most 64 letters, digits, '-', '_' and '.', which begins with a letter or digit"
    ),
}
"""By pydantic's name for a fault: what the value must be."""


def _got(value: object) -> str:
    return "nothing" if value is None else quoted(with_lists(value))


def _way_out(problem: Mapping[str, Any]) -> str:
    """What to write instead, where that can be told."""
    kind, value = problem["type"], problem["input"]
    if kind == "string_type" and isinstance(value, int | float):
        return f"; put it in quotes: '{value}'"
    if kind in ("int_type", "float_type") and isinstance(value, str) and re.search("[0-9]", value):
        return "; write it without quotes, in decimal digits, such as 17"
    if kind == "int_type" and isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_WHOLE:
        return f"; write {value:.0f}"
    if kind == "literal_error" and isinstance(value, str):
        return did_you_mean(cut(value, 80), [option.strip("'") for option in _options(problem)])
    return ""


def _options(problem: Mapping[str, Any]) -> list[str]:
    return str(problem["ctx"]["expected"]).replace(" or ", ", ").split(", ")


def _unknown_key(location: tuple[Any, ...]) -> str:
    names = [str(part) for part in location if isinstance(part, str)]
    model: type[BaseModel] | None = StudySpec
    for name in names[:-1]:
        fields = {field.alias or key: field for key, field in model.model_fields.items()} if model else {}
        model = _model_in(fields[name].annotation) if name in fields else None
    known = [field.alias or key for key, field in model.model_fields.items()] if model else []
    hint = did_you_mean(cut(names[-1], 80), known) or f"; known here: {', '.join(known)}"
    return f"unknown key {quoted('.'.join(names))}{hint}"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as `tuple[Objective, ...]` is about."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _kind(tree: object) -> str:
    kinds = {str: "text", list: "a list", bool: "true or false"}
    return "an empty file" if tree is None else kinds.get(type(tree), "a number")
