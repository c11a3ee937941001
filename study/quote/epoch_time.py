"""Seconds of an epoch of any configuration of a study, inferred from the steps that were measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from study.planning.plan import Plan
from study.quote.drawn import Drawn, Shape, shapes_of
from study.quote.step_times import MeasuredStep
from trainables.feature_cache.conditions import is_frozen_at_input, why_not_at_all, why_not_of_training
from trainables.feature_cache.gain import PhaseFrozen, is_shared
from trainables.models.catalogue import find_architecture
from trainables.recipe.evaluation import Evaluation
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.probe_result import FrozenTime

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


@dataclass(frozen=True, kw_only=True)
class PhaseTime:
    """What a phase of a recipe takes."""

    epochs: int
    epoch_seconds: float
    """Trained and validated."""
    features_seconds: float = 0.0
    """Of computing the output of its frozen layers once, where it is kept."""
    features: str | None = None
    """Which output that is, where trials share it."""


@dataclass(frozen=True)
class EpochTime:
    """Infers seconds of epochs; at least one step was measured."""

    plan: Plan
    steps: tuple[MeasuredStep, ...]
    device_type: str = "cpu"
    """`cpu` or `cuda`."""

    def seconds(self, recipe: Recipe) -> float:
        """Of an epoch of the recipe, trained and validated, in the mean over its phases."""
        phases = self._phases(recipe)
        epochs = sum(phase.epochs for phase in phases)
        return SECONDS_BESIDE_AN_EPOCH + sum(phase.epochs * phase.epoch_seconds for phase in phases) / epochs

    def seconds_before(self, recipe: Recipe) -> float:
        """From the end of a process's last trial to the first step of one with the recipe, and of what this
        trial alone needs of its frozen layers.
        """
        nearest, _ = self._nearest(recipe)
        building = min(step.build_seconds for step in self._by_shape[nearest])
        own = sum(phase.features_seconds for phase in self._phases(recipe) if phase.features is None)
        return SECONDS_BESIDE_A_TRIAL + building + own

    def shared_seconds(self, recipe: Recipe) -> dict[str, float]:
        """Of computing the output of frozen layers that the first trial that needs it computes for all, by
        what it is.
        """
        return {
            phase.features: phase.features_seconds
            for phase in self._phases(recipe)
            if phase.features is not None
        }

    def is_measured(self, recipe: Recipe) -> bool:
        """Whether steps of its architecture and size were measured."""
        return Shape.of(recipe) in self._by_shape

    def _phases(self, recipe: Recipe) -> list[PhaseTime]:
        return [self._phase(recipe, phase, index) for index, phase in enumerate(recipe.phases)]

    def _phase(self, recipe: Recipe, phase: Phase, index: int) -> PhaseTime:
        step, evaluated = self._line(recipe).seconds(recipe.batch_size), self._evaluation(recipe)
        depth = _freeze_depth(phase, recipe)
        frozen = self._frozen(recipe, depth)
        if frozen is None:
            forward = min(recipe.batch_size * evaluated, step)
            whole = forward + _trained_share(phase, recipe) * (step - forward)
            return self._timed(recipe, phase, step=whole, evaluated=evaluated)
        before = max(evaluated - frozen.evaluation_seconds, 0.0)
        behind = min(frozen.seconds, step)
        whole = min(before * recipe.batch_size + behind, step)
        kept = self._kept(recipe, phase, index, frozen)
        if kept is None:
            return self._timed(recipe, phase, step=whole, evaluated=evaluated)
        timed = self._timed(
            recipe,
            phase,
            step=behind if kept.has_training else whole,
            evaluated=min(frozen.evaluation_seconds, evaluated),
        )
        return replace(
            timed,
            features_seconds=before * kept.num_images,
            features=_features(recipe, depth, kept) if is_shared(recipe, index) else None,
        )

    def _timed(self, recipe: Recipe, phase: Phase, *, step: float, evaluated: float) -> PhaseTime:
        num_steps = math.ceil(self.plan.num_images_of_epoch(recipe) / recipe.batch_size)
        validating = self.plan.num_validated * evaluated * num_passes(recipe.evaluation)
        return PhaseTime(epochs=phase.epochs, epoch_seconds=num_steps * step + validating)

    def _kept(self, recipe: Recipe, phase: Phase, index: int, frozen: FrozenTime) -> "_Kept | None":
        """What is kept of the output of a phase's frozen layers; None where nothing is."""
        if not is_frozen_at_input(phase) or why_not_at_all(recipe) is not None:
            return None
        whole = replace(recipe, data=replace(recipe.data, epoch_images=None))
        asked = PhaseFrozen(
            flops=frozen.flops,
            num_bytes=frozen.num_bytes,
            epochs=phase.epochs,
            num_images=self.plan.num_images_of_epoch(whole),
            num_per_epoch=self.plan.num_images_of_epoch(recipe),
            num_validated=self.plan.num_validated,
            num_views=recipe.augmentation.fixed_views or 1,
            is_shared=is_shared(recipe, index),
            device_type=self.device_type,
        )
        has_training = why_not_of_training(recipe) is None and asked.why_no_use() is None
        if asked.why_no_gain(has_training=has_training, is_resident=self.device_type == "cuda") is not None:
            return None
        num_training = asked.num_views * asked.num_images if has_training else 0
        num_validated = asked.num_validated * _NUM_VIEWS[recipe.evaluation.views]
        return _Kept(has_training=has_training, num_images=num_training + num_validated)

    def _frozen(self, recipe: Recipe, depth: int) -> FrozenTime | None:
        """What was measured behind so many frozen stages, for the recipe's shape and batch; None where
        nothing was.
        """
        nearest, factor = self._nearest(recipe)
        # The largest of the timed steps is the least disturbed.
        for step in sorted(self._by_shape[nearest], key=lambda one: -one.num_images):
            for one in step.frozen:
                if one.freeze_depth == depth:
                    of_images = (one.seconds - one.fixed_seconds) * recipe.batch_size / step.num_images
                    return replace(
                        one,
                        seconds=(one.fixed_seconds + of_images) * factor,
                        evaluation_seconds=one.evaluation_seconds * factor,
                        flops=round(one.flops * factor),
                    )
        return None

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
class _Kept:
    """What is kept of the output of frozen layers."""

    has_training: bool
    """Whether that of training images, too."""
    num_images: int
    """In all views together."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """Seconds of a step: some for the step itself, and some for each image."""

    of_step: float
    of_image: float

    @classmethod
    def through(cls, steps: Sequence[MeasuredStep]) -> "_Line":
        """As the largest of the timed steps tells; else through the smallest and the largest, in proportion
        to images where there is one size, and where noise makes the larger one the faster.
        """
        first = min(steps, key=lambda step: step.num_images)
        last = max(steps, key=lambda step: step.num_images)
        if last.fixed_seconds is not None:
            of_image = (last.seconds - last.fixed_seconds) / last.num_images
            return cls(of_step=last.fixed_seconds, of_image=of_image)
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


def _freeze_depth(phase: Phase, recipe: Recipe) -> int:
    """Stages that are frozen at the input, about as many where the phase counts blocks."""
    num_stages = find_architecture(recipe.model.architecture).num_stages
    if phase.trainable_share is not None:
        return math.floor((1 - phase.trainable_share) * num_stages)
    return min(phase.freeze_depth, num_stages)


def _trained_share(phase: Phase, recipe: Recipe) -> float:
    """Of the network."""
    num_stages = find_architecture(recipe.model.architecture).num_stages
    if phase.trainable_share is not None:
        return phase.trainable_share
    return 1 - min(phase.freeze_depth, num_stages) / max(num_stages, 1)


def _features(recipe: Recipe, depth: int, kept: "_Kept") -> str:
    """A name of the output of frozen layers: where two are equal, trials share it."""
    images = (recipe.data, recipe.augmentation) if kept.has_training else recipe.data.image_size
    return f"{recipe.model.architecture} {recipe.model.weights} {depth} {recipe.evaluation.views} {images}"
