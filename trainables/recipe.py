"""A recipe: one fully specified training configuration, as a frozen tree that is checked when it is built."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from trainables.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class Data:
    """How stored images reach the model."""

    image_size: int
    """Side in pixels of the square image the model sees, 4 to 1024; stored images are resized to it."""
    normalisation: Literal["dataset", "architecture", "zero_one"] = "dataset"
    """Pixels in [0, 1] minus mean over deviation: of the dataset's training split, of the pretrained weights, or left alone."""

    def __post_init__(self) -> None:
        _within("image_size", self.image_size, 4, 1024)
        _one_of("normalisation", self.normalisation, ("dataset", "architecture", "zero_one"))


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network and where its weights start."""

    architecture: str
    """A name of `trainables.models.catalogue`, or `timm/NAME`."""
    weights: str = "none"
    """`none`, `imagenet`, or the path of a state dict."""
    dropout: float = 0.0
    """Share of the features dropped before the last linear layer, in [0, 1)."""
    batch_norm: Literal["train", "eval_frozen", "eval_all"] = "eval_frozen"
    """Which BatchNorm layers keep their running statistics fixed: none, those of frozen stages, all."""

    def __post_init__(self) -> None:
        _within("dropout", self.dropout, 0.0, 0.95)
        _one_of("batch_norm", self.batch_norm, ("train", "eval_frozen", "eval_all"))


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of epochs with its own trainable layers, learning rate and schedule; its optimizer starts fresh."""

    epochs: int
    """Passes over the training split, at least 1."""
    learning_rate: float
    """Highest learning rate of the phase, above 0."""
    freeze_depth: int = 0
    """Stages frozen, counted from the input: 0 none, 1 the stem and the first stage, ..., all stages leave the head alone."""
    schedule: Literal["constant", "step", "cosine"] = "cosine"
    """How the learning rate falls over the phase."""
    warmup_fraction: float = 0.0
    """Share of the phase's steps over which the learning rate rises linearly from 0, in [0, 1)."""
    step_epochs: int = 10
    """Schedule `step`: epochs between two falls, at least 1."""
    step_factor: float = 0.1
    """Schedule `step`: what each fall multiplies by, in (0, 1]."""

    def __post_init__(self) -> None:
        _within("epochs", self.epochs, 1, 100_000)
        _above_zero("learning_rate", self.learning_rate)
        _within("freeze_depth", self.freeze_depth, 0, 1000)
        _one_of("schedule", self.schedule, ("constant", "step", "cosine"))
        _within("warmup_fraction", self.warmup_fraction, 0.0, 0.99)
        _within("step_epochs", self.step_epochs, 1, 100_000)
        _above_zero("step_factor", self.step_factor)
        _within("step_factor", self.step_factor, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of each training image; ranges are those at strength 1 and shrink in proportion to it."""

    strength: float = 0.0
    """Master strength in [0, 1] that multiplies the ranges below, flips excepted; 0 changes nothing but flips."""
    rotation_degrees: float = 35.0
    """Rotation drawn from [-r, r], 0 to 180."""
    shift_fraction: float = 0.25
    """Shift along each axis drawn from [-s, s] of the side, 0 to 1."""
    shear_degrees: float = 10.0
    """Horizontal shear drawn from [-s, s], 0 to 60."""
    zoom_fraction: float = 0.4
    """Zoom drawn from [1 - z, 1 + z], 0 to 0.9."""
    zoom_axes: Literal["together", "apart"] = "together"
    """Whether both axes zoom by one draw, or each by its own."""
    brightness_fraction: float = 0.5
    """Brightness factor drawn from [1 - b, 1 + b], 0 to 1."""
    flip_probability: float = 0.0
    """Chance of a mirror image (left to right), 0 to 1."""
    fill: Literal["zeros", "border", "reflection"] = "zeros"
    """What stands where the image was moved away."""

    def __post_init__(self) -> None:
        _within("strength", self.strength, 0.0, 1.0)
        _within("rotation_degrees", self.rotation_degrees, 0.0, 180.0)
        _within("shift_fraction", self.shift_fraction, 0.0, 1.0)
        _within("shear_degrees", self.shear_degrees, 0.0, 60.0)
        _within("zoom_fraction", self.zoom_fraction, 0.0, 0.9)
        _one_of("zoom_axes", self.zoom_axes, ("together", "apart"))
        _within("brightness_fraction", self.brightness_fraction, 0.0, 1.0)
        _within("flip_probability", self.flip_probability, 0.0, 1.0)
        _one_of("fill", self.fill, ("zeros", "border", "reflection"))


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Cross-entropy, weighted by class."""

    label_smoothing: float = 0.0
    """Share of the target spread over all classes, in [0, 1)."""
    class_weight_power: float = 0.0
    """Class weight (N / (K n_c)) ** power: 0 none, 1 balanced."""
    class_weight_cap: float | None = None
    """Highest class weight, above 0; None for no cap."""
    class_weights: Mapping[str, float] | None = None
    """A table of weights by class name, in place of the power; every class of the dataset must stand in it."""

    def __post_init__(self) -> None:
        _within("label_smoothing", self.label_smoothing, 0.0, 0.99)
        _within("class_weight_power", self.class_weight_power, 0.0, 1.0)
        if self.class_weight_cap is not None:
            _above_zero("class_weight_cap", self.class_weight_cap)
        if self.class_weights is not None:
            if self.class_weight_power:
                raise RecipeError("class_weights and class_weight_power exclude each other; set class_weight_power to 0 or drop the table")
            for name, weight in self.class_weights.items():
                _above_zero(f"class_weights[{name!r}]", weight)


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The rule that turns gradients into steps."""

    kind: Literal["adam", "adamw", "sgd"] = "adamw"
    """Adam, AdamW (decoupled weight decay), or SGD with Nesterov momentum."""
    weight_decay: float = 0.0
    """Pull of weights towards 0, at least 0; biases and normalisation parameters are left out."""
    momentum: float = 0.9
    """SGD only, in [0, 1)."""

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, ("adam", "adamw", "sgd"))
        _within("weight_decay", self.weight_decay, 0.0, 10.0)
        _within("momentum", self.momentum, 0.0, 0.9999)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One fully specified training configuration (DESIGN: contract 5)."""

    data: Data
    model: Model
    phases: tuple[Phase, ...]
    """At least one; they follow each other."""
    optimizer: Optimizer = field(default_factory=Optimizer)
    loss: Loss = field(default_factory=Loss)
    augmentation: Augmentation = field(default_factory=Augmentation)
    batch_size: int = 64
    """Images per optimizer step, 1 to 65536; the last batch of an epoch may be smaller."""
    seed: int = 0
    """Follows into initial weights, order of images, augmentation and dropout; at least 0."""

    def __post_init__(self) -> None:
        if not self.phases:
            raise RecipeError("a recipe needs at least one phase, got none")
        _within("batch_size", self.batch_size, 1, 65_536)
        _within("seed", self.seed, 0, 2**63 - 1)

    @property
    def num_epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def to_dict(self) -> dict[str, Any]:
        """The tree as plain JSON values; `Recipe.from_dict` turns it back."""
        return _plain(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Recipe":
        """The recipe written by `to_dict`, or by hand. Raises RecipeError with the path of the key that does not fit."""
        return _built(cls, tree, "recipe")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _built(kind: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _built_dataclass(kind, value, path)
    if get_origin(kind) in (Union, UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        return None if value is None and len(options) < len(get_args(kind)) else _built(options[0], value, path)
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise RecipeError(f"{path} must be a list, got {value!r}")
        return tuple(_built(get_args(kind)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if get_origin(kind) is Mapping:
        if not isinstance(value, Mapping):
            raise RecipeError(f"{path} must map class names to numbers, got {value!r}")
        return {str(key): _built(float, item, f"{path}[{key!r}]") for key, item in value.items()}
    return _scalar(kind, value, path)


def _built_dataclass(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise RecipeError(f"{path} must be a mapping, got {value!r}")
    known = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := sorted(set(value) - set(known)):
        raise RecipeError(f"{path} has no field {unknown[0]!r}; it has {', '.join(known)}")
    missing = [f.name for f in known.values() if f.default is f.default_factory is dataclasses.MISSING and f.name not in value]
    if missing:
        raise RecipeError(f"{path} lacks {missing[0]!r}")
    hints = get_type_hints(kind)
    return kind(**{name: _built(hints[name], item, f"{path}.{name}") for name, item in value.items()})


def _scalar(kind: Any, value: Any, path: str) -> Any:
    if get_origin(kind) is Literal:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is str and isinstance(value, str):
        return value
    raise RecipeError(f"{path} must be {kind.__name__}, got {value!r}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RecipeError(f"{name} must lie in [{low:g}, {high:g}], got {value!r}")


def _above_zero(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise RecipeError(f"{name} must be above 0 and finite, got {value!r}")


def _one_of(name: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise RecipeError(f"{name} must be one of {', '.join(options)}, got {value!r}")
