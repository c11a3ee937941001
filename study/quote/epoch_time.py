"""Seconds of an epoch of any configuration of a study, inferred from the steps that were measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from study.planning.plan import Plan
from study.quote.drawn import Drawn, Shape, shapes_of
from study.quote.step_times import MeasuredStep
from trainables.models.catalogue import find_architecture
from trainables.recipe.evaluation import Evaluation
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe

SECONDS_BESIDE_AN_EPOCH = 0.06
"""Reporting, MLflow, a checkpoint now and then."""
SECONDS_BESIDE_A_TRIAL = 0.1
"""Measured from the end of one trial to the first step of the next on a process that is reused."""
_NUM_VIEWS = {"one": 1, "flip": 2, "ten_crop": 10, "three_sizes": 3}


def wanted_recipes(drawn: Sequence[Drawn]) -> tuple[Recipe, ...]:
    """Recipes that tell most of how long the others take, the most telling first: of each architecture that
    of its middle size with the largest batch, then that of its largest size, then the smallest batches, then
    the rest.
    """
    shapes = shapes_of(drawn)
    passes: list[dict[tuple[str, int, int], Recipe]] = [{}, {}, {}, {}]
    for architecture in dict.fromkeys(shape.architecture for shape in shapes):
        own = sorted(shape for shape in shapes if shape.architecture == architecture)
        middle, largest = own[(len(own) - 1) // 2], own[-1]
        for number, recipe in (
            (0, shapes[middle][-1]),
            (1, shapes[largest][-1]),
            (2, shapes[middle][0]),
            *((3, shapes[shape][end]) for shape in own for end in (-1, 0)),
        ):
            passes[number][(*Shape.of(recipe), recipe.batch_size)] = recipe
    merged: dict[tuple[str, int, int], Recipe] = {}
    for one in passes:
        merged |= {key: recipe for key, recipe in one.items() if key not in merged}
    return tuple(merged.values())


@dataclass(frozen=True)
class EpochTime:
    """Infers seconds of epochs; at least one step was measured."""

    plan: Plan
    steps: tuple[MeasuredStep, ...]

    def seconds(self, recipe: Recipe) -> float:
        """Of an epoch of the recipe, trained and validated, in the mean over its phases."""
        per_step, evaluated = self._line(recipe).seconds(recipe.batch_size), self._evaluation(recipe)
        forward = min(recipe.batch_size * evaluated, per_step)
        share = _trained_share(recipe)
        num_images = self.plan.num_images_of_epoch(recipe)
        training = math.ceil(num_images / recipe.batch_size) * (forward + share * (per_step - forward))
        validating = self.plan.num_validated * evaluated * num_passes(recipe.evaluation)
        return training + validating + SECONDS_BESIDE_AN_EPOCH

    def seconds_before(self, recipe: Recipe) -> float:
        """From the end of a process's last trial to the first step of one with the recipe."""
        nearest, _ = self._nearest(recipe)
        return SECONDS_BESIDE_A_TRIAL + min(step.build_seconds for step in self._by_shape[nearest])

    def is_measured(self, recipe: Recipe) -> bool:
        """Whether steps of its architecture and size were measured."""
        return Shape.of(recipe) in self._by_shape

    @cached_property
    def _by_shape(self) -> dict[Shape, list[MeasuredStep]]:
        found: dict[Shape, list[MeasuredStep]] = {}
        for step in self.steps:
            found.setdefault(step.shape, []).append(step)
        return found

    def _line(self, recipe: Recipe) -> "_Line":
        nearest, factor = self._nearest(recipe)
        return _Line.through(self._by_shape[nearest]).times(factor)

    def _evaluation(self, recipe: Recipe) -> float:
        """Seconds of one image that is validated, seen once."""
        nearest, factor = self._nearest(recipe)
        steps = self._by_shape[nearest]
        return factor * sum(step.evaluation_seconds for step in steps) / len(steps)

    def _nearest(self, recipe: Recipe) -> tuple[Shape, float]:
        """The measured shape that is most like the recipe's, and how many times its work the recipe has: of
        the same architecture if there is one.
        """
        wanted = Shape.of(recipe)
        if wanted in self._by_shape:
            return wanted, 1.0
        same = [shape for shape in self._by_shape if shape.architecture == wanted.architecture]
        ratios = {shape: self._work(wanted) / self._work(shape) for shape in same or self._by_shape}
        nearest = min(ratios, key=lambda shape: abs(math.log(ratios[shape])))
        return nearest, ratios[nearest]

    def _work(self, shape: Shape) -> float:
        """Multiply-adds, or as many as a usual network has where the library that builds it keeps them."""
        known = find_architecture(shape.architecture).multiply_adds(
            shape.image_size, self.plan.manifest.channels
        )
        usual = 4e9 * (shape.image_size / 224) ** 2
        return max(usual if known is None else known, 1)


@dataclass(frozen=True, kw_only=True)
class _Line:
    """Seconds of a step: some for the step itself, and some for each image."""

    of_step: float
    of_image: float

    @classmethod
    def through(cls, steps: Sequence[MeasuredStep]) -> "_Line":
        """Through the smallest and the largest of the timed steps; in proportion to images where there is one
        size, and where noise makes the larger one the faster.
        """
        first = min(steps, key=lambda step: step.num_images)
        last = max(steps, key=lambda step: step.num_images)
        if last.num_images > first.num_images:
            of_image = (last.seconds - first.seconds) / (last.num_images - first.num_images)
            of_step = last.seconds - of_image * last.num_images
            if of_image > 0 and of_step >= 0:
                return cls(of_step=of_step, of_image=of_image)
        return cls(of_step=0.0, of_image=last.seconds / last.num_images)

    def seconds(self, num_images: int) -> float:
        """Of a step of so many images."""
        return self.of_step + self.of_image * num_images

    def times(self, factor: float) -> "_Line":
        """Of a network that computes so many times as much."""
        return _Line(of_step=self.of_step * factor, of_image=self.of_image * factor)


def num_passes(evaluation: Evaluation) -> int:
    """How often validation sees each image."""
    return _NUM_VIEWS[evaluation.views] * max(evaluation.dropout_samples, 1)


def _trained_share(recipe: Recipe) -> float:
    """Of the network, in the mean over epochs."""
    num_stages = find_architecture(recipe.model.architecture).num_stages
    epochs = sum(phase.epochs for phase in recipe.phases)
    return sum(phase.epochs * _share_of(phase, num_stages) for phase in recipe.phases) / epochs


def _share_of(phase: Phase, num_stages: int) -> float:
    if phase.trainable_share is not None:
        return phase.trainable_share
    frozen = min(phase.freeze_depth, num_stages)
    return 1 - frozen / max(num_stages, 1)
