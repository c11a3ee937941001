"""A study that is about to start, with what is known of it: what a quote and cautions are made of."""

from dataclasses import dataclass
from functools import cached_property

from study.planning.plan import Plan
from study.quote.drawn import Drawn, drawn_of
from study.quote.earlier import EarlierStudy, earlier_studies


@dataclass(frozen=True, kw_only=True)
class Case:
    """A study that is about to start."""

    plan: Plan
    drawn: tuple[Drawn, ...]
    """Configurations that it may try."""
    earlier: tuple[EarlierStudy, ...]
    """Studies of its home, the latest first."""

    @classmethod
    def of(cls, plan: Plan) -> "Case":
        """With the earlier studies of the plan's home."""
        return cls(
            plan=plan, drawn=drawn_of(plan), earlier=earlier_studies(plan.home, besides=plan.spec.study)
        )

    @cached_property
    def of_this_dataset(self) -> tuple[EarlierStudy, ...]:
        """Earlier studies of the same images."""
        digest = self.plan.manifest.digest
        return tuple(study for study in self.earlier if study.facts.get("dataset_digest") == digest)
