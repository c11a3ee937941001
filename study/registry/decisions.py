"""Decisions on who is champion, and the champions that follow from them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from study.registry.comparison import Comparison
from study.registry.spent_level import shown_confidence

MAX_REASON, MAX_SENTENCE = 500, 400
"""Characters of a person's reason, and of a sentence of evidence, so that a decision fits into the 6,000 of a
parameter.
"""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision, as the log keeps it for ever."""

    key: str
    """Its own, by which it differs from another one of the same moment."""
    kind: Literal["promoted", "adopted", "rolled back", "refused"]
    """`adopted` takes over what somebody did in MLflow's own pages."""
    time: str
    """UTC, ISO 8601."""
    user: str
    champion_before: int | None
    version: int
    """Promoted, adopted, gone back to, or refused."""
    forced: bool
    reason: str | None
    """That the person gave."""
    evidence: tuple[str, ...]
    """Sentences; the tables are beside it in the log."""

    @property
    def champion_after(self) -> int | None:
        """Who is champion by this decision."""
        return self.champion_before if self.kind == "refused" else self.version

    def to_text(self) -> str:
        """JSON on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> "Decision":
        """The decision that `to_text` wrote."""
        return TypeAdapter(cls).validate_json(text)


def champions(decisions: Sequence[Decision]) -> tuple[int, ...]:
    """The champions in force, the earliest first; the last is the present one.

    Empty where none was promoted.
    """
    line: list[int] = []
    for decision in decisions:
        if decision.kind in ("promoted", "adopted"):
            line.append(decision.version)
        elif decision.kind == "rolled back":
            while line and line[-1] != decision.version:
                line.pop()
    return tuple(line)


def sentences(comparison: Comparison) -> tuple[str, ...]:
    """The outcome of a comparison, in few words."""
    one, (before, after) = comparison, comparison.metrics[comparison.metric]
    by_groups = "" if one.num_groups is None else f" over {one.num_groups:,} groups"
    test = "McNemar's exact test" if one.num_groups is None else f"signs of {one.num_groups:,} groups"
    of_groups = "" if one.num_groups is None else f" ({one.num_groups:,} groups)"
    return (
        f"{one.metric} {before:.4f} → {after:.4f} on {one.num_images:,} images{of_groups} of dataset "
        f"{one.dataset_digest[:12]}",
        f"gain {one.gain:+.4f}, at least {one.gain_low:+.4f} with "
        f"{shown_confidence(one.needed_confidence)} % confidence (paired bootstrap{by_groups})",
        f"{one.num_only_challenger:,} images right that were wrong, {one.num_only_champion:,} wrong that "
        "were right "
        f"({test}: p = {one.p_value:.2g})",
        *_of_all(one),
        *one.remarks,
        *one.faults,
    )


def _of_all(comparison: Comparison) -> tuple[str, ...]:
    if comparison.number is None:
        return ()
    return (
        f"comparison {comparison.number} on these test images: it needs "
        f"{shown_confidence(comparison.needed_confidence)} % confidence, so that all together keep "
        f"{shown_confidence(comparison.rules.confidence)} %",
    )


def tables(comparison: Comparison) -> dict[str, Any]:
    """All that a comparison says, as plain values."""
    return {**asdict(comparison), "rules": comparison.rules.model_dump()}
