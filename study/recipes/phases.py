"""The phases of a training: what each way of fine-tuning makes of a number of epochs."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from search_spaces.dimensions import Value
from trainables.errors import FieldError, RecipeError
from trainables.recipe.fields import AboveZero, Rule, Within
from trainables.recipe.phase import Phase

Values = Mapping[str, Value]
PhaseTree = dict[str, object]

_OF_THE_WAY = ("epochs", "freeze_depth", "trainable_share", "range_end", "layer_decay")
"""Fields of a phase that the way of fine-tuning decides; all others are dimensions of every phase."""

_IN_EVERY_PHASE = {
    field.name: field.default for field in dataclasses.fields(Phase) if field.name not in _OF_THE_WAY
}

PHASE_DEFAULTS: Values = {
    "fine_tuning": "full",
    **{
        name: default
        for name, default in _IN_EVERY_PHASE.items()
        if default is not None and default is not dataclasses.MISSING
    },
    "learning_rate": 1e-3,
    "freeze_depth": 0,
    "layer_decay": 0.75,
    "probe_fraction": 0.2,
    "probe_multiplier": 1.0,
    "unfreezing_stages": 3,
    # Of source system 002: the last 1, 3 and 7 of 16 blocks, for 15, 15 and 20 of 50 epochs, at rates in
    # ratio 10 : 5 : 1.
    "stage_cut_1": 1 / 16,
    "stage_cut_2": 2 / 15,
    "stage_cut_3": 4 / 13,
    "stage_cut_4": 0.5,
    "stage_epochs_1": 0.3,
    "stage_epochs_2": 15 / 35,
    "stage_epochs_3": 0.5,
    "stage_ratio_2": 0.5,
    "stage_ratio_3": 0.2,
    "stage_ratio_4": 0.5,
    "polish_fraction": 0.0,
    "polish_multiplier": 0.01,
}
"""Value of each dimension of phases where a point does not name it."""

PHASE_NAMES: tuple[str, ...] = tuple(dict.fromkeys((*PHASE_DEFAULTS, *_IN_EVERY_PHASE, "range_end")))
"""Every dimension of phases; those without a default are absent where a point does not name them."""


_SHARE, _MULTIPLE = Within(0.0, 1.0), AboveZero(1000.0)
_RULES: Mapping[str, Rule] = {
    **{
        name: _MULTIPLE if name.endswith("multiplier") or name.startswith("stage_ratio") else _SHARE
        for name in PHASE_DEFAULTS
        if name.startswith(("probe_", "stage_", "polish_"))
    },
    "unfreezing_stages": Within(1, 4),
}
"""Of the dimensions that are no field of a phase: what their values have in common."""


def check_phase_value(name: str, value: Value) -> None:
    """Raises FieldError for a value that a dimension of phases can never have."""
    rule = _RULES.get(name)
    if rule is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name == "unfreezing_stages" and not isinstance(value, int):
        raise FieldError(name, f"must be a whole number, got {value!r}")
    if not is_number or not rule.holds(value):
        raise FieldError(name, f"{rule}, got {value!r}")


def build_phases(point: Values, epochs: int, num_stages: int) -> list[PhaseTree]:
    """The phases of a point, `epochs` in all; one that would get less than an epoch is left out.

    Where the point does not say how to fine-tune, `range_end` means `range` and `freeze_depth` means
    `suffix`. Raises RecipeError for a way that does not exist, or a dimension that the way has no place for.
    """
    way = str(
        point.get(
            "fine_tuning",
            "range" if "range_end" in point else "suffix" if "freeze_depth" in point else "full",
        )
    )
    if way not in WAYS:
        raise RecipeError(f"fine_tuning must be one of {', '.join(WAYS)}, got {way!r}")
    _check_own(point, way)
    for name, value in point.items():
        check_phase_value(name, value)
    values = {**PHASE_DEFAULTS, **point}
    phase: PhaseTree = {name: values[name] for name in _IN_EVERY_PHASE if name in values}
    shares, phases = WAYS[way].build(values, phase, num_stages)
    return [
        {**tree, "epochs": number}
        for tree, number in zip(phases, _allotted(shares, epochs), strict=True)
        if number
    ]


def _check_own(point: Values, way: str) -> None:
    for name in point:
        ways = [other for other, own in WAYS.items() if name in own.dimensions]
        if ways and way not in ways:
            raise RecipeError(
                f"{name} belongs to fine_tuning {' or '.join(ways)}, got {way!r}; drop {name} or change "
                "fine_tuning"
            )


Built = tuple[list[float], list[PhaseTree]]
"""Shares of the epochs, and the phases they are for."""


def _full(values: Values, phase: PhaseTree, num_stages: int) -> Built:
    return [1.0], [phase]


def _suffix(values: Values, phase: PhaseTree, num_stages: int) -> Built:
    return [1.0], [{**phase, "freeze_depth": values["freeze_depth"]}]


def _range(values: Values, phase: PhaseTree, num_stages: int) -> Built:
    if "range_end" not in values:
        raise RecipeError("fine_tuning 'range' needs range_end, the first stage that is frozen again")
    return [1.0], [{**phase, "freeze_depth": values["freeze_depth"], "range_end": values["range_end"]}]


def _layer_decay(values: Values, phase: PhaseTree, num_stages: int) -> Built:
    return [1.0], [{**phase, "layer_decay": values["layer_decay"]}]


def _lp_ft(values: Values, phase: PhaseTree, num_stages: int) -> Built:
    probe = _number(values, "probe_fraction")
    return [probe, 1 - probe], [_head_alone(values, phase, num_stages, "probe_multiplier"), phase]


def _gradual(values: Values, phase: PhaseTree, num_stages: int) -> Built:
    """The head alone, then more and more blocks from the head down at lower and lower rates, then the head
    alone again.
    """
    probe, polish = _number(values, "probe_fraction"), _number(values, "polish_fraction")
    if probe + polish >= 1:
        raise RecipeError(
            f"probe_fraction and polish_fraction must leave epochs for the stages, got {probe:g} and "
            f"{polish:g}"
        )
    shares, phases = [probe], [_head_alone(values, phase, num_stages, "probe_multiplier")]
    trainable, epochs_left, rate = 0.0, 1 - probe - polish, _number(values, "learning_rate")
    last = int(_number(values, "unfreezing_stages"))
    for stage in range(1, last + 1):
        trainable += _number(values, f"stage_cut_{stage}") * (1 - trainable)
        rate *= _number(values, f"stage_ratio_{stage}") if stage > 1 else 1.0
        share = epochs_left if stage == last else epochs_left * _number(values, f"stage_epochs_{stage}")
        epochs_left -= share
        shares.append(share)
        phases.append({**phase, "learning_rate": rate, "trainable_share": trainable})
    return [*shares, polish], [*phases, _head_alone(values, phase, num_stages, "polish_multiplier")]


@dataclasses.dataclass(frozen=True)
class Way:
    """A way of fine-tuning."""

    build: Callable[[Values, PhaseTree, int], Built]
    """From all values, what every phase has, and the network's number of stages."""
    dimensions: tuple[str, ...] = ()
    """Those that it alone has, or shares with some others."""


_OF_STAGES = tuple(name for name in PHASE_DEFAULTS if name.startswith("stage_"))

WAYS: Mapping[str, Way] = {
    "full": Way(_full),
    "suffix": Way(_suffix, ("freeze_depth",)),
    "range": Way(_range, ("freeze_depth", "range_end")),
    "lp_ft": Way(_lp_ft, ("probe_fraction", "probe_multiplier")),
    "gradual": Way(
        _gradual,
        (
            "unfreezing_stages",
            "polish_fraction",
            "polish_multiplier",
            "probe_fraction",
            "probe_multiplier",
            *_OF_STAGES,
        ),
    ),
    "layer_decay": Way(_layer_decay, ("layer_decay",)),
}
"""The ways of fine-tuning by the name that a point gives them."""


def _head_alone(values: Values, phase: PhaseTree, num_stages: int, multiplier: str) -> PhaseTree:
    rate = _number(values, "learning_rate") * _number(values, multiplier)
    return {**phase, "learning_rate": rate, "freeze_depth": num_stages}


def _allotted(shares: Sequence[float], epochs: int) -> list[int]:
    """Whole epochs in proportion to shares that sum to 1: at least one for each share above 0, those of the
    largest shares first.
    """
    by_size = sorted(range(len(shares)), key=lambda index: -shares[index])
    wanted = [index for index in by_size if shares[index] > 0][:epochs]
    numbers = [
        max(int(share * epochs + 1e-9), 1) if index in wanted else 0 for index, share in enumerate(shares)
    ]
    while (missing := epochs - sum(numbers)) != 0:
        # What is left goes where rounding took most; what is too much is taken where most was given.
        gap = {
            index: shares[index] * epochs - numbers[index]
            for index in wanted
            if missing > 0 or numbers[index] > 1
        }
        index = max(gap, key=gap.__getitem__) if missing > 0 else min(gap, key=gap.__getitem__)
        numbers[index] += 1 if missing > 0 else -1
    return numbers


def _number(values: Values, name: str) -> float:
    value = values[name]
    if isinstance(value, str | bool):
        raise RecipeError(f"{name} must be a number, got {value!r}")
    return float(value)
