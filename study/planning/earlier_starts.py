"""Start points from earlier studies: the trials that a study tries first, and why not the others.

A study that has begun keeps what it found in its folder, and never looks again.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from search_spaces.dimensions import Value
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace
from study.connections.mlflow_client import check_reachable
from study.home import Home
from study.number_text import number_text
from study.planning.dataset_similarity import DatasetTraits
from study.planning.earlier_trials import EarlierTrial, earlier_trials
from study.recipes.point import build_recipe
from study.search.sampling.enumeration import identity
from study.search.sampling.start_points import StartPoint, fit
from study.study_file.start_from import EarlierBest
from study.study_file.study_spec import StudySpec
from trainables.atomic import atomic_file
from trainables.datasets.manifest import Manifest
from trainables.errors import RecipeError, WeightsError
from trainables.models.pretrained_files import ensure_weights

STARTS_FILE = "starts.json"


@dataclass(frozen=True, kw_only=True)
class EarlierStart:
    """A trial of an earlier study that is tried first."""

    trial: EarlierTrial
    start: StartPoint


@dataclass(frozen=True, kw_only=True)
class Unused:
    """A trial of an earlier study that would come first, but cannot be tried."""

    trial: EarlierTrial
    reason: str


@dataclass(frozen=True, kw_only=True)
class EarlierStarts:
    """What a study found in earlier ones."""

    used: tuple[EarlierStart, ...] = ()
    unused: tuple[Unused, ...] = ()
    missing: tuple[str, ...] = ()
    """Where less was found than wanted: a sentence for each entry of `start_from`."""

    def __add__(self, other: "EarlierStarts") -> "EarlierStarts":
        return EarlierStarts(
            used=self.used + other.used,
            unused=self.unused + other.unused,
            missing=self.missing + other.missing,
        )

    def write(self, folder: Path) -> None:
        """Keeps it in the study's folder."""
        with atomic_file(folder / STARTS_FILE) as unfinished:
            unfinished.write_text(self.to_json(), encoding="utf-8")

    def to_json(self) -> str:
        """As the study's folder and MLflow keep it."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, folder: Path) -> "EarlierStarts":
        """What `write` kept. Raises FileNotFoundError where there is nothing."""
        return TypeAdapter(cls).validate_json((folder / STARTS_FILE).read_bytes())


def find_earlier(
    spec: StudySpec, space: SearchSpace, manifest: Manifest, named: tuple[StartPoint, ...], home: Home
) -> EarlierStarts:
    """The start points from earlier studies that the study file wants, beside those that it names.

    Raises SpecError, TrackingError.
    """
    found, folder = EarlierStarts(), home.studies / spec.study
    if not spec.earlier:
        return found
    if (folder / STARTS_FILE).exists():
        return EarlierStarts.read(folder)
    check_reachable(home.tracking_uri)
    fitting = Fitting(space=space, fixed=spec.fix, manifest=manifest, epochs=spec.budget.epochs)
    for wanted in spec.earlier:
        trials = earlier_trials(
            home.tracking_uri, wanted, DatasetTraits.of(manifest), spec.objective, spec.num_folds
        )
        found += fitting.choose(trials, wanted, (*named, *(one.start for one in found.used)))
    return found


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """The study that an earlier configuration must fit."""

    space: SearchSpace
    fixed: Mapping[str, Value]
    manifest: Manifest
    epochs: int

    def choose(
        self, trials: Iterable[EarlierTrial], wanted: EarlierBest, taken: Iterable[StartPoint]
    ) -> EarlierStarts:
        """The first `wanted` trials that can be tried, and those passed over; none is `taken` already."""
        chosen = EarlierStarts()
        origins = {identity(start.point): start.origin for start in taken}
        for trial in trials:
            found = self._try(trial)
            if isinstance(found, EarlierStart) and (same := origins.get(identity(found.start.point))):
                found = Unused(trial=trial, reason=f"it is the configuration of {same}")
            if isinstance(found, Unused):
                chosen += EarlierStarts(unused=(found,))
                continue
            origins[identity(found.start.point)] = trial.origin
            chosen += EarlierStarts(used=(found,))
            if len(chosen.used) == wanted.best:
                return chosen
        return chosen + EarlierStarts(
            missing=(f"of the {wanted} of earlier studies, MLflow holds {len(chosen.used)} to try",)
        )

    def _try(self, trial: EarlierTrial) -> EarlierStart | Unused:
        try:
            return EarlierStart(trial=trial, start=self._start(trial))
        except (SpaceError, RecipeError, WeightsError) as error:
            return Unused(trial=trial, reason=str(error))

    def _start(self, trial: EarlierTrial) -> StartPoint:
        if trial.point is None:
            raise SpaceError("its run does not say its configuration")
        if trial.value is None:
            raise SpaceError(f"its run has no {trial.metric}")
        if trial.continues is not None:
            raise SpaceError(
                f"it went on from trial {trial.continues}, so its configuration alone does not explain its "
                "score"
            )
        start = fit(trial.origin, trial.point, self.space, self.fixed, goes_beyond=True)
        model = build_recipe(start.point, dataset=self.manifest, epochs=self.epochs, seed=0).model
        if model.weights not in ("none", "imagenet") and not model.weights.startswith("models:/"):
            ensure_weights(model)  # a file of another machine, say
        return replace(start, overridden=dict(start.overridden))


def earlier_sentences(found: EarlierStarts) -> tuple[str, ...]:
    """One sentence for each trial that is tried, for each that cannot be, and for what is missing."""
    used = (_used(one) for one in found.used)
    unused = (f"not used: {one.trial}, because {one.reason}" for one in found.unused)
    return (*used, *unused, *found.missing)


def _used(found: EarlierStart) -> str:
    changed = found.start.overridden
    fixed = (
        f", where the study fixes {', '.join(f'{name} (there: {value})' for name, value in changed.items())}"
        if changed
        else ""
    )
    return f"starts from {found.trial}{fixed}: {_written(found.start.point)}"


def _written(point: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {number_text(value)}" for name, value in point.items())
