"""Dimensions with a large share of the differences whose own effect is flat, and why both can be true."""

import math
from collections.abc import Sequence

import numpy as np

from study.analysis.effects import Marginals
from study.analysis.importance import Importance
from study.analysis.words import listed, words

LARGE = 0.1
"""Share of the differences from which on a person expects to see an effect."""


def flat_effects(rows: Sequence[Importance], marginals: Marginals) -> tuple[str, ...]:
    """The dimensions of `rows` that have a large share and a flat effect, the largest share first."""
    return tuple(row.dimension for row in rows if row.share >= LARGE and _is_flat(row, marginals))


def flat_sentence(rows: Sequence[Importance], marginals: Marginals) -> str | None:
    """Why a large share and a flat effect are no contradiction; None where there are none."""
    flat = flat_effects(rows, marginals)
    if not flat:
        return None
    shares = {row.dimension: row.share for row in rows}
    has = "has" if len(flat) == 1 else "have"
    its, it = ("its", "it") if len(flat) == 1 else ("their", "they")
    shown = {row.dimension for row in rows if row.is_beyond_chance}
    owes = "it owes its share" if len(flat) == 1 else "they owe their shares"
    luck = f"; or {owes} to luck, or to others whose good values were tried in the same trials"
    named = listed([f"{words(name)} ({shares[name]:.0%})" for name in flat])
    return (
        f"{named[0].upper()}{named[1:]} {has} a large share, and yet {its} own effect is nearly flat. "
        f"Both can be true: {it} may matter together with other dimensions, better with some of their values "
        f"and worse with others, which cancels out on average{'' if set(flat) <= shown else luck}."
    )


def _is_flat(row: Importance, marginals: Marginals) -> bool:
    """Whether the effect spans less than half of what a share of this size comes to in two equal groups."""
    gap = marginals.gap(row.dimension, maximise=True)
    dimension = marginals.dimension(row.dimension)
    if gap is None or dimension is None:
        return False
    values = [trial.value for trial in marginals.trials if dimension.has(trial.point)]
    return gap.loss < math.sqrt(row.share) * float(np.std(values))
