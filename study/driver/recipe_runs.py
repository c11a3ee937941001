"""Reproducing named recipes: each is trained with some seeds under the evaluation protocol and compared with
what its source states.
"""

import fnmatch
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster.connection import connected
from search_spaces.dimensions import Value
from search_spaces.errors import UnknownNameError
from search_spaces.named import find_recipe, named_recipes
from search_spaces.named_recipe import NamedRecipe
from study.driver.progress import Progress
from study.driver.running import end_ray_of_dead_drivers, resume_study, run_study
from study.errors import SpecError, StopRequestedError, StudyError
from study.execution.trial_libraries import trial_libraries
from study.home import Home
from study.results.reproduction import Reproduction, Reproductions
from study.results.study_result import StudyResult
from study.search.record.storage import SPEC_FILE
from study.study_file.study_spec import StudySpec
from trainables.errors import TrainableError


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of a recipe is trained; what is None stays as the recipe has it."""

    images: int | None = None
    """Training images."""
    epochs: int | None = None
    size: int | None = None
    """Side in pixels of what the network sees."""
    weights: str | None = None
    """A file in place of the published weights."""
    seeds: int = 3


def reproduce(
    patterns: Iterable[str], scale: Scale, *, home: Home | None = None, progress: Progress | None = None
) -> Reproductions:
    """Trains and measures the recipes that the patterns name, one study for each.

    A recipe that was measured before is read, not trained again. The table of several recipes goes to MLflow,
    too.

    Raises UnknownNameError for a pattern that names none, and for a single recipe all that `run_study`
    raises; of several, those that cannot run stand in the result with their reasons.
    """
    home, progress = home or Home.current(), progress or Progress()
    recipes = matching(patterns)
    done: list[Reproduction] = []
    not_run: dict[str, str] = {}
    specs = [(recipe, reproduction_spec(recipe, scale)) for recipe in recipes]
    end_ray_of_dead_drivers(home, progress.say)
    with trial_libraries(), connected(noted_in=home.ray_processes, last_words=progress.say_last):
        for recipe, spec in specs:
            try:
                done.append(_reproduce(recipe, spec, home, progress))
            except (StudyError, TrainableError) as error:
                if len(recipes) == 1 or isinstance(error, StopRequestedError):
                    raise
                progress.say(f"[red]{recipe.name} cannot run:[/] {error}")
                not_run[recipe.name] = str(error)
    reproductions = Reproductions(done=tuple(done), not_run=not_run)
    if len(recipes) > 1:
        from study.tracking.reproduction_run import log_table

        log_table(home, reproductions)
    return reproductions


def matching(patterns: Iterable[str]) -> list[NamedRecipe]:
    """The recipes that the patterns (`fer-r18-freeze-*`) name, each once, in the order of the patterns.

    Raises UnknownNameError.
    """
    known = named_recipes()
    names = [
        name
        for pattern in patterns
        for name in (fnmatch.filter(known, pattern) or [find_recipe(pattern).name])
    ]
    if not names:
        raise UnknownNameError("recipe", "", known)
    return [known[name] for name in dict.fromkeys(names)]


def reproduction_spec(recipe: NamedRecipe, scale: Scale) -> StudySpec:
    """The study that reproduces a recipe: one trial for each seed, nothing varied, nothing stopped early."""
    return StudySpec.parse(
        {
            "study": _name(recipe, scale),
            "dataset": recipe.dataset.name,
            "search_space": "given",
            "fix": {**recipe.point, **_changes(recipe, scale)},
            "reproduces": recipe.name,
            "objective": {"metric": "accuracy" if recipe.result is None else recipe.result.metric},
            "budget": {"trials": scale.seeds, "epochs": scale.epochs or recipe.epochs},
            "early_stopping": "none",
        }
    )


def _reproduce(recipe: NamedRecipe, spec: StudySpec, home: Home, progress: Progress) -> Reproduction:
    folder = home.studies / spec.study
    _check_dataset_is_here(recipe, home)
    if (found := Reproduction.read(folder)) is not None:
        progress.say(f"{recipe.name} was reproduced before: study show {spec.study}")
        if not StudyResult.read(folder).is_end_told:
            resume_study(spec.study, home=home, progress=progress)
        return found
    num_seeds = spec.budget.trials
    progress.say(
        f"reproducing {recipe.name} with {num_seeds} seed{'s' if num_seeds > 1 else ''}: study {spec.study}"
    )
    result = (
        resume_study(spec.study, home=home, progress=progress)
        if _exists(folder)
        else run_study(spec, home=home, progress=progress)
    )
    assert result.reproduction is not None, "a study that reproduces ends with a reproduction"
    return result.reproduction


def _exists(folder: Path) -> bool:
    return (folder / SPEC_FILE).exists()


def _check_dataset_is_here(recipe: NamedRecipe, home: Home) -> None:
    if not (home.datasets / recipe.dataset.name).exists():
        raise SpecError(
            f"dataset {recipe.dataset.name!r} ({recipe.dataset.about}) is not here; add it: "
            f"{recipe.dataset.add}"
        )


def _changes(recipe: NamedRecipe, scale: Scale) -> dict[str, Value]:
    point = recipe.point
    changes: dict[str, Value] = {}
    if scale.images is not None:
        changes["train_images"] = scale.images
    if scale.size is not None and scale.size != point.get("image_size"):
        changes["image_size"] = scale.size
        if "crop_margin" in point and "image_size" in point:
            changes["crop_margin"] = max(
                round(int(point["crop_margin"]) * scale.size / int(point["image_size"])), 1
            )
    if scale.weights is not None and point.get("weights") == "imagenet":
        changes["weights"] = str(Path(scale.weights).expanduser().absolute())
    return changes


def _name(recipe: NamedRecipe, scale: Scale) -> str:
    """Of the study: a name of its own for each scale."""
    amounts = {"i": scale.images, "e": scale.epochs, "px": scale.size, "s": scale.seeds}
    name = "-".join(
        [
            "reproduce",
            recipe.name,
            *(f"{amount}{unit}" for unit, amount in amounts.items() if amount is not None),
        ]
    )
    if scale.weights is None:
        return name
    return f"{name}-{hashlib.blake2b(scale.weights.encode(), digest_size=3).hexdigest()}"
