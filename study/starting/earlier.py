"""Start points from earlier studies: which of their best trials a study tries first, and why not the others.

A study that has begun keeps what it found in its folder, and never looks again.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from search_spaces.dimensions import Value
from search_spaces.errors import SpaceError
from search_spaces.space import Point, SearchSpace
from study.home import Home
from study.names import trial_name
from study.recipes.point import build_recipe
from study.search.enumeration import identity
from study.spec.earlier import Earlier
from study.spec.study_spec import StudySpec
from study.starting.similarity import Traits
from study.starting.start_points import StartPoint, fit
from study.tracking.client import check_reachable
from trainables.datasets.manifest import Manifest
from trainables.errors import RecipeError, WeightsError
from trainables.models.checkpoints import ensure_weights

STARTS_FILE = "starts.json"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A complete trial of an earlier study, as MLflow knows it."""

    study: str
    trial: int
    dataset: str
    similarity: float
    """Of its dataset to the new study's, as `study.similarity` has it."""
    metric: str
    """What it was judged by."""
    value: float | None
    run_id: str
    user: str
    point: Point | None
    """None where its run does not say it."""
    continues: str | None
    """The trial that it went on from, if it is one of a population."""

    @property
    def origin(self) -> str:
        """How it is called."""
        return f"{trial_name(self.trial)} of {self.study} on {self.dataset}"

    def __str__(self) -> str:
        score = "" if self.value is None else f", {self.metric} {self.value:.4f}"
        return f"{self.origin} (similarity {self.similarity:.2f}{score}{f', by {self.user}' if self.user else ''})"


@dataclass(frozen=True, kw_only=True)
class EarlierStart:
    """A trial of an earlier study that is tried first."""

    candidate: Candidate
    start: StartPoint


@dataclass(frozen=True, kw_only=True)
class Unused:
    """One that would have come first, but cannot be tried."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True, kw_only=True)
class EarlierStarts:
    """What a study found in earlier ones."""

    used: tuple[EarlierStart, ...] = ()
    unused: tuple[Unused, ...] = ()
    missing: tuple[str, ...] = ()
    """Where less was found than asked: a sentence for each wish."""

    def __add__(self, other: "EarlierStarts") -> "EarlierStarts":
        return EarlierStarts(used=self.used + other.used, unused=self.unused + other.unused, missing=self.missing + other.missing)

    def write(self, folder: Path) -> None:
        """Keeps it in the study's folder."""
        (folder / STARTS_FILE).write_text(self.to_json(), encoding="utf-8")

    def to_json(self) -> str:
        """As it stands in the study's folder, and in MLflow."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, folder: Path) -> "EarlierStarts":
        """What `write` kept. Raises FileNotFoundError where there is nothing."""
        tree = json.loads((folder / STARTS_FILE).read_text(encoding="utf-8"))
        return cls(
            used=tuple(EarlierStart(candidate=Candidate(**one["candidate"]), start=StartPoint(**one["start"])) for one in tree["used"]),
            unused=tuple(Unused(candidate=Candidate(**one["candidate"]), reason=one["reason"]) for one in tree["unused"]),
            missing=tuple(tree["missing"]),
        )


def find_earlier(spec: StudySpec, space: SearchSpace, manifest: Manifest, named: tuple[StartPoint, ...], home: Home) -> EarlierStarts:
    """What the study file asks of earlier studies, beside the start points that it names. Raises SpecError, TrackingError."""
    found, folder = EarlierStarts(), home.studies / spec.study
    if not spec.earlier:
        return found
    if (folder / STARTS_FILE).exists():
        return EarlierStarts.read(folder)
    from study.tracking.earlier_trials import earlier_trials

    check_reachable(home.tracking_uri)
    fitting = Fitting(space=space, fixed=spec.fix, manifest=manifest, epochs=spec.budget.epochs)
    for wanted in spec.earlier:
        candidates = earlier_trials(home.tracking_uri, wanted, Traits.of(manifest), spec.objective)
        found += fitting.choose(candidates, wanted, (*named, *(one.start for one in found.used)))
    return found


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """What an earlier configuration must fit."""

    space: SearchSpace
    fixed: Mapping[str, Value]
    manifest: Manifest
    epochs: int

    def choose(self, candidates: Iterable[Candidate], wanted: Earlier, taken: Iterable[StartPoint]) -> EarlierStarts:
        """The first candidates that can be tried, as many as are `wanted`, and those passed over; none that is `taken` already."""
        chosen = EarlierStarts()
        origins = {identity(start.point): start.origin for start in taken}
        for candidate in candidates:
            found = self._try(candidate)
            if isinstance(found, EarlierStart) and (same := origins.get(identity(found.start.point))):
                found = Unused(candidate=candidate, reason=f"it is the configuration of {same}")
            if isinstance(found, Unused):
                chosen += EarlierStarts(unused=(found,))
                continue
            origins[identity(found.start.point)] = candidate.origin
            chosen += EarlierStarts(used=(found,))
            if len(chosen.used) == wanted.best:
                return chosen
        return chosen + EarlierStarts(missing=(f"of the {wanted} of earlier studies, MLflow holds {len(chosen.used)} to try",))

    def _try(self, candidate: Candidate) -> EarlierStart | Unused:
        try:
            return EarlierStart(candidate=candidate, start=self._start(candidate))
        except (SpaceError, RecipeError, WeightsError) as error:
            return Unused(candidate=candidate, reason=str(error))

    def _start(self, candidate: Candidate) -> StartPoint:
        if candidate.point is None:
            raise SpaceError("its run does not say its configuration")
        if candidate.value is None:
            raise SpaceError(f"its run has no {candidate.metric}")
        if candidate.continues is not None:
            raise SpaceError(f"it went on from trial {candidate.continues}, so its configuration alone did not come to its score")
        start = fit(candidate.origin, candidate.point, self.space, self.fixed, goes_beyond=True)
        model = build_recipe(start.point, dataset=self.manifest, epochs=self.epochs, seed=0).model
        if model.weights not in ("none", "imagenet") and not model.weights.startswith("models:/"):
            ensure_weights(model)  # a file of another machine, say
        return replace(start, overridden=dict(start.overridden))
