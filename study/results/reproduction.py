"""The result of reproducing a named recipe, kept in its study's folder."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pydantic import TypeAdapter

from search_spaces.named_recipe import NamedRecipe
from study.evaluation.wilson import CONFIDENCE, share_interval
from study.study_file.study_spec import StudySpec
from trainables.atomic import atomic_file
from trainables.metrics.classification import RANGES

REPRODUCTION_FILE = "reproduction.json"


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A named recipe trained with some seeds, each measured on the sealed test split."""

    recipe: str
    metric: str
    stated: float | None
    """What the source says; None where it says nothing."""
    values: tuple[float, ...]
    """The metric on the test split, by seed."""
    validation: tuple[float, ...]
    """The same on the validation split, at each seed's best epoch."""
    num_images: int
    """Of the test split."""
    epochs: tuple[int, ...]
    """Trained, by seed."""
    scaled_down: tuple[str, ...]
    """Differences from the recipe, such as fewer images or epochs."""
    not_rebuilt: str | None
    """Why the source's own measurement cannot be rebuilt."""
    seconds: float
    """Of training and validating, all seeds together."""
    over_groups: tuple[float, float] | None = None
    """Ends of the interval of a single seed's metric over the groups of the test images; None for several
    seeds, and where images have no groups."""

    @property
    def mean(self) -> float:
        """Over seeds."""
        return fmean(self.values)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Ends of the 95 % interval: of the mean over seeds (Student's t, within the metric's range), or of
        one accuracy (Wilson), or over groups where the test images have some.
        """
        if len(self.values) > 1:
            from scipy.stats import t

            half = (
                float(t.ppf((1 + CONFIDENCE) / 2, len(self.values) - 1))
                * stdev(self.values)
                / math.sqrt(len(self.values))
            )
            lowest, highest = RANGES[self.metric]
            return max(self.mean - half, lowest), min(self.mean + half, highest)
        if self.over_groups is not None or self.metric != "accuracy":
            return self.over_groups
        share = share_interval(round(self.mean * self.num_images), self.num_images)
        return share.low, share.high

    @property
    def verdict(self) -> str:
        """Whether the interval covers or exceeds what the source states."""
        if self.stated is None:
            return "no number stated"
        low, high = self.interval or (self.mean, self.mean)
        outcome = "exceeded" if low > self.stated else "reproduced" if high >= self.stated else "below"
        return f"{outcome}, scaled down" if self.scaled_down else outcome

    def write(self, folder: Path) -> None:
        """Puts the reproduction into its study's folder."""
        with atomic_file(folder / REPRODUCTION_FILE) as unfinished:
            unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Reproduction | None":
        """The reproduction in a study's folder; None where there is none."""
        file = folder / REPRODUCTION_FILE
        if not file.exists():
            return None
        return TypeAdapter(cls).validate_json(file.read_bytes())


@dataclass(frozen=True, kw_only=True)
class Reproductions:
    """The results of several recipes."""

    done: tuple[Reproduction, ...]
    not_run: Mapping[str, str] = field(default_factory=dict)
    """Reasons, by recipe."""


def scaled_down(spec: StudySpec, recipe: NamedRecipe) -> tuple[str, ...]:
    """Differences of the study's training from the recipe: one phrase each."""
    phrases: dict[str, Callable[[Any], str]] = {
        "train_images": lambda value: f"{value:,} images",
        "image_size": lambda value: f"{value} px",
        "weights": lambda value: f"weights {Path(str(value)).name}",
    }
    changed = [
        phrase(spec.fix[name])
        for name, phrase in phrases.items()
        if spec.fix.get(name) != recipe.point.get(name)
    ]
    if spec.budget.epochs != recipe.epochs:
        changed.append(f"{spec.budget.epochs} of {recipe.epochs} epochs")
    return tuple(changed)
