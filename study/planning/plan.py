"""The plan of a study: its file checked against spaces, datasets and MLflow, before anything is spent."""

import importlib.util
import os
import random
import re
import shutil
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from cluster.connection import gpu_kind, num_cores, num_gpus
from search_spaces.dimensions import Choice, Dimension, Value
from search_spaces.errors import did_you_mean
from search_spaces.named import find_recipe, find_space
from search_spaces.space import Point, SearchSpace
from study.connections.database_url import check_answers, is_same_database, masked
from study.connections.mlflow_client import check_reachable
from study.errors import SpecError
from study.home import Home
from study.planning.earlier_starts import EarlierStarts, find_earlier
from study.planning.fitted_space import fitted
from study.planning.half_begun import is_half_begun
from study.planning.reproduction_check import check_reproduces
from study.recipes.point import build_recipe, check_names, check_value
from study.search.pbt.explorer import population_remarks
from study.search.sampling.sampler_remarks import sampler_remarks
from study.search.sampling.start_points import StartPoint, start_points
from study.study_file.mistakes import Mistakes
from study.study_file.study_spec import StudySpec
from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import fold_numbers
from trainables.datasets.listing import find_dataset
from trainables.datasets.manifest import Manifest
from trainables.datasets.published import fetch_dataset, is_published
from trainables.errors import RecipeError
from trainables.models.pretrained_files import ensure_weights
from trainables.printable import quoted
from trainables.recipe.model import Model
from trainables.recipe.tree import Recipe

NUM_CORNERS = 400
"""Extreme configurations of the space that are checked."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a study needs to know before it starts."""

    spec: StudySpec
    space: SearchSpace
    starts: tuple[StartPoint, ...]
    """Those of the study file, then those of earlier studies."""
    earlier: EarlierStarts
    manifest: Manifest
    dataset_folder: Path
    home: Home
    remarks: tuple[str, ...]
    """Remarks on how the sampler searches this space."""
    fold_sizes: tuple[int, ...] = ()
    """Images of each fold of train and validation; empty without folds."""

    @property
    def folder(self) -> Path:
        """The study's own folder."""
        return self.home.studies / self.spec.study

    @property
    def num_images_trained(self) -> int:
        """Images that pass through training at most: no trial stops early, and the best are confirmed."""
        confirm = self.spec.confirm
        num_trainings = self.spec.budget.trials + (0 if confirm is None else confirm.top * confirm.seeds)
        return (
            num_trainings * self.spec.budget.epochs * max(map(self.num_images_of_epoch, self.corner_recipes))
        )

    def num_images_of_epoch(self, recipe: Recipe) -> int:
        """The training split, with folds each as often as it is not held out, or the parts of it that a study
        may fix.
        """
        most = recipe.data.train_images
        if self.fold_sizes:
            num_others = [sum(self.fold_sizes) - size for size in self.fold_sizes]
        else:
            num_others = [self.manifest.splits["train"].num_images]
        kept = [num if most is None else min(num, most) for num in num_others]
        return sum(min(num, recipe.data.epoch_images or num) for num in kept)

    @property
    def num_validated(self) -> int:
        """Images that each epoch of a trial is validated on; with folds, those of all folds."""
        return sum(self.fold_sizes) or self.manifest.splits["validation"].num_images

    def pretrained(self) -> set[tuple[str, str]]:
        """Pairs of architecture and weights that trials may start from, `none` left out."""
        recipes = [*self.corner_recipes, *(self.recipe(start.point) for start in self.starts)]
        return {
            (recipe.model.architecture, recipe.model.weights)
            for recipe in recipes
            if recipe.model.weights != "none"
        }

    def recipe(self, point: Point) -> Recipe:
        """The recipe of a point of the space. Raises RecipeError."""
        return build_recipe(point, dataset=self.manifest, epochs=self.spec.budget.epochs, seed=0)

    @cached_property
    def _corners(self) -> tuple[Recipe | RecipeError, ...]:
        return tuple(map(self._recipe_or_error, _corners(self.space)))

    @property
    def corner_recipes(self) -> list[Recipe]:
        """Of points at the ends of the space's ranges, those that can be trained."""
        return [found for found in self._corners if isinstance(found, Recipe)]

    @property
    def corner_errors(self) -> list[RecipeError]:
        """Why the others cannot."""
        return [found for found in self._corners if isinstance(found, RecipeError)]

    def _recipe_or_error(self, point: Point) -> Recipe | RecipeError:
        try:
            return self.recipe(point)
        except RecipeError as error:
            return error


def plan_study(spec: StudySpec, home: Home) -> Plan:
    """Checks the spec against all that it names.

    Raises SpecError, SpaceError, RecipeError, WeightsError, DatasetError or TrackingError; imports neither
    torch nor ray, and mlflow only where earlier studies are wanted.
    """
    spec, folder, space = _checked_apart(spec, home)
    manifest = Manifest.read(folder)
    mistakes = Mistakes(spec.origin)
    with mistakes.of("reproduces"):
        check_reproduces(spec, space, manifest)
    with mistakes.of("start_from"):
        starts = start_points(spec.start_from, space, spec.fix)
    fold_sizes: tuple[int, ...] = ()
    with mistakes.of("validate", "folds"):
        fold_sizes = _fold_sizes(spec, folder)
    mistakes.refuse()
    earlier = find_earlier(spec, space, manifest, starts, home)
    plan = Plan(
        spec=spec,
        space=space,
        starts=(*starts, *(found.start for found in earlier.used)),
        earlier=earlier,
        manifest=manifest,
        dataset_folder=folder,
        home=home,
        remarks=(),
        fold_sizes=fold_sizes,
    )
    with mistakes.of("promotion", "max_subgroup_gap"):
        _check_subgroups(plan)
    _check_recipes(plan, mistakes)
    with mistakes.of("validate", "folds"):
        _check_images_of_folds(plan)
    mistakes.refuse()
    with mistakes.of("fix", "weights"):
        _check_files_of_weights(plan)
    with mistakes.of("start_from"):
        _check_starts_fit_budget(plan)
    mistakes.refuse()
    remarks = (*sampler_remarks(spec, space), *population_remarks(spec, space, manifest))
    check_reachable(home.tracking_uri)
    return replace(plan, remarks=remarks)


def _checked_apart(spec: StudySpec, home: Home) -> tuple[StudySpec, Path, SearchSpace]:
    """What the keys of the study file name, each by itself, so that all mistakes are told at once."""
    mistakes = Mistakes(spec.origin)
    folder: Path | None = None
    with mistakes.of("dataset"):
        spec, folder = _with_dataset(spec, home)
    space = _collected_space(spec, mistakes)
    for index, item in enumerate(spec.start_from):
        with mistakes.of("start_from", index):
            if isinstance(item, str):
                find_recipe(item)
    with mistakes.of("reproduces"):
        if spec.reproduces is not None:
            find_recipe(spec.reproduces)
    for check in (_check_cores, _check_gpus):
        with mistakes.of("resources"):
            check(spec)
    with mistakes.of("search_storage"):
        _check_storage(spec, home)
    mistakes.refuse()
    assert folder is not None
    assert space is not None
    return spec, folder, space


def _with_dataset(spec: StudySpec, home: Home) -> tuple[StudySpec, Path]:
    """The spec with its dataset's name, and the dataset's folder; a published dataset is fetched into
    `home`.
    """
    if not is_published(spec.dataset):
        return spec, find_dataset(home.datasets, spec.dataset)
    folder = fetch_dataset(spec.dataset, home.datasets)
    return spec.model_copy(update={"dataset": folder.name}), folder


def study_space(spec: StudySpec) -> SearchSpace:
    """The space of a study: the named one, fitted to a network that the spec fixes, then as it extends, fixes
    and narrows it, in this order.

    Raises SpecError with all that is wrong with it.
    """
    mistakes = Mistakes(spec.origin)
    space = _collected_space(spec, mistakes)
    mistakes.refuse()
    assert space is not None
    return space


def _collected_space(spec: StudySpec, mistakes: Mistakes) -> SearchSpace | None:
    """The space, or None where it cannot be had; what is wrong stands in `mistakes`."""
    space: SearchSpace | None = None
    with mistakes.of("search_space"):
        space = _load_space(spec.search_space)
        check_names(space.names)
        space = fitted(space, spec.fix)
    extra: list[Dimension] = []
    for name, dimension in spec.extend.items():
        with mistakes.of("extend", name):
            check_names([name])
            extra.append(dimension.dimension(name))
    for name, value in spec.fix.items():
        with mistakes.of("fix", name):
            check_names([name])
            check_value(name, value)
    if space is None or len(extra) < len(spec.extend):
        return space
    with mistakes.of("extend"):
        space = space.extend(tuple(extra))
    with mistakes.of("fix"):
        space = space.fix(spec.fix)
    for name, range_ in spec.narrow.items():
        with mistakes.of("narrow", name):
            space = space.narrow({name: range_})
    return space


def _load_space(wanted: str) -> SearchSpace:
    if ":" not in wanted:
        return find_space(wanted)
    file, name = wanted.rsplit(":", 1)
    try:
        description = importlib.util.spec_from_file_location("study_search_space", file)
        assert description is not None
        assert description.loader is not None
        module = importlib.util.module_from_spec(description)
        description.loader.exec_module(module)
        space = getattr(module, name)
    except (Exception, SystemExit) as error:  # the file is a person's program, which may end as it likes
        raise SpecError(
            f"search_space {quoted(wanted)} cannot be loaded: {type(error).__name__}: {error}; write "
            "path/to/file.py:NAME"
        ) from error
    if not isinstance(space, SearchSpace):
        raise SpecError(f"search_space {quoted(wanted)} must be a SearchSpace, got {type(space).__name__}")
    return space


def with_own_space(spec: StudySpec, folder: Path) -> StudySpec:
    """The spec with its own copy of the search space's file in `folder`: later changes do not reach the
    study.
    """
    if ":" not in spec.search_space:
        return spec
    file, name = spec.search_space.rsplit(":", 1)
    kept = shutil.copyfile(file, folder / "search_space.py")
    return spec.model_copy(update={"search_space": f"{kept}:{name}"})


def _check_recipes(plan: Plan, mistakes: Mistakes) -> None:
    """Every start point, and the extremes of the space, must give a recipe that can be trained."""
    for start in plan.starts:
        with mistakes.of("start_from"):
            _check_recipe(plan, start.point, f"start point {start.origin}")
    met: set[tuple[str, ...]] = set()
    for error in plan.corner_errors:
        path = _key_of(plan.spec, str(error))
        if path not in met:  # one value of a dimension is enough to tell
            met.add(path)
            text = f"the search space allows a configuration that no training can follow: {error}"
            mistakes.add(path, partial(str, text))


def _key_of(spec: StudySpec, refusal: str) -> tuple[str, ...]:
    """The key of the study file that a refusal is about: the first of its dimensions that the text names."""
    places = {name: key for key in ("extend", "narrow", "fix") for name in getattr(spec, key)}
    named = next((word for word in re.findall(r"[\w.]+", refusal) if word in places), None)
    return ("search_space",) if named is None else (places[named], named)


def _fold_sizes(spec: StudySpec, folder: Path) -> tuple[int, ...]:
    """Raises DatasetError where the images cannot be divided into so many folds."""
    if spec.num_folds is None:
        return ()
    return tuple(np.bincount(fold_numbers(Dataset.open(folder), spec.num_folds)).tolist())


def _check_images_of_folds(plan: Plan) -> None:
    """Raises SpecError where a configuration wants more training images than all folds but one have."""
    if not plan.fold_sizes:
        return
    points = [*_corners(plan.space), *(start.point for start in plan.starts)]
    wanted = max((int(point["train_images"]) for point in points if "train_images" in point), default=0)
    least = sum(plan.fold_sizes) - max(plan.fold_sizes)
    if wanted > least:
        raise SpecError(
            f"train_images {wanted} is more than the {least:,} images that {len(plan.fold_sizes)} folds "
            "leave to train on; lower it, or leave it out"
        )


def _check_subgroups(plan: Plan) -> None:
    """Raises SpecError where the rule on subgroups needs a column that the dataset does not keep."""
    rule, kept = plan.spec.promotion.max_subgroup_gap, plan.manifest.kept_columns
    if rule is not None and rule.column not in kept:
        keeps = f"it keeps {', '.join(kept)}" if kept else "it keeps none"
        raise SpecError(
            f"promotion.max_subgroup_gap divides by the column {quoted(rule.column)}, which the dataset "
            f"{plan.manifest.name!r} does not keep ({keeps}{did_you_mean(rule.column, kept)}); add it again "
            f"with --keep-column {quoted(rule.column)} --replace, which leaves its digest as it is"
        )


def _check_recipe(plan: Plan, point: Point, what: str) -> None:
    try:
        plan.recipe(point)
    except RecipeError as error:
        raise SpecError(f"{what}: {error}") from None


def _check_files_of_weights(plan: Plan) -> None:
    for architecture, weights in plan.pretrained():
        if weights != "imagenet" and not is_registered_model(weights):
            ensure_weights(Model(architecture=architecture, weights=weights))


def is_registered_model(weights: str) -> bool:
    """Whether weights are named by MLflow's address of a registered model."""
    return weights.startswith("models:/")


def _check_starts_fit_budget(plan: Plan) -> None:
    if len(plan.starts) > plan.spec.budget.trials:
        raise SpecError(
            f"start_from names {len(plan.starts)} points but budget.trials is {plan.spec.budget.trials}; "
            "raise it or drop some"
        )


def _check_cores(spec: StudySpec) -> None:
    wanted = spec.resources.cpus_per_trial
    if "RAY_ADDRESS" not in os.environ and wanted > num_cores():
        raise SpecError(
            f"resources.cpus_per_trial is {wanted}, and this machine has {num_cores()} cores; lower it, or "
            "set RAY_ADDRESS to a cluster",
            key="resources.cpus_per_trial",
        )


def _check_gpus(spec: StudySpec) -> None:
    gpus = spec.resources.gpus_per_trial
    if "RAY_ADDRESS" not in os.environ and gpus != "auto" and gpus > num_gpus():
        raise SpecError(
            f"resources.gpus_per_trial is {gpus:g}, and this machine has {num_gpus()} GPUs; take auto, or "
            "set RAY_ADDRESS to a cluster",
            key="resources.gpus_per_trial",
        )
    wanted = spec.resources.gpu_kind
    if "RAY_ADDRESS" not in os.environ and wanted is not None and wanted != (found := gpu_kind()):
        raise SpecError(
            f"resources.gpu_kind is {wanted}, and this machine has "
            f"{'no GPU' if found is None else f'GPUs of kind {found}'}; drop it, or set RAY_ADDRESS to a "
            "cluster",
            key="resources.gpu_kind",
        )


def _check_storage(spec: StudySpec, home: Home) -> None:
    url = spec.search_storage
    if url is None:
        return
    if is_same_database(url, home.tracking_uri):
        raise SpecError(
            f"search_storage {masked(url)!r} is MLflow's own database, whose tables it cannot share; name "
            "another one"
        )
    check_answers(url)


def _corners(space: SearchSpace) -> list[Point]:
    """A seeded sample of points at the ends of ranges; together they meet every value many times."""
    draw = random.Random(0)
    return [
        space.build_point(lambda dimension: draw.choice(_extremes(dimension))) for _ in range(NUM_CORNERS)
    ]


def _extremes(dimension: Dimension) -> tuple[Value, ...]:
    return dimension.options if isinstance(dimension, Choice) else (dimension.low, dimension.high)


def check_name_is_free(plan: Plan) -> None:
    """Raises SpecError if a study of that name exists, StudyError if one does in `search_storage`."""
    check_folder_is_free(plan)
    if plan.spec.search_storage is not None and not plan.folder.exists():
        from study.search.record.storage import check_name_is_free_in

        check_name_is_free_in(plan.spec.search_storage, plan.spec.study)


def check_folder_is_free(plan: Plan) -> None:
    """Raises SpecError if a study of that name exists; one that was half begun does not."""
    if plan.folder.exists() and not is_half_begun(plan.folder):
        name = plan.spec.study
        raise SpecError(
            f"a study named {name!r} exists; see it: study show {name}; go on with it: study resume {name}; "
            "or choose another name"
        )
