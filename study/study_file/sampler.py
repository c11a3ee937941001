"""How the next configuration is chosen: the samplers that a study file can name, and what each of them can
do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from study.written import Written

SamplerRule = Literal["tpe", "random", "grid", "quasi_random", "gp", "cma_es", "nsga2"]


@dataclass(frozen=True, kw_only=True)
class SamplerAbilities:
    """What a sampler can do with a space and with the trials before."""

    learns: bool = True
    """Whether it looks at what was measured. It is built in `study.search.sampling.samplers` then."""
    models_conditions: bool = False
    """Whether it models dimensions that not every configuration has."""
    models_choices: bool = True
    """Whether it models dimensions without an order."""
    ranks_pruned: bool = False
    """Whether it makes use of trials that were stopped early as such, where there is a single objective."""
    takes_constraints: bool = True
    """Whether it is given how far each trial missed each constraint; others are given the worst value for
    such a trial.
    """
    counts_generations: bool = False
    """Whether it notes with each trial which generation it belongs to."""
    draws_populations: bool = False
    """Whether it draws well while no trial has ended, as where population-based training begins."""
    max_objectives: int | None = None


SAMPLERS: Mapping[SamplerRule, SamplerAbilities] = MappingProxyType(
    {
        "tpe": SamplerAbilities(models_conditions=True, ranks_pruned=True, draws_populations=True),
        "random": SamplerAbilities(learns=False, models_conditions=True, draws_populations=True),
        "grid": SamplerAbilities(learns=False, models_conditions=True),
        "quasi_random": SamplerAbilities(learns=False, models_conditions=True, draws_populations=True),
        "gp": SamplerAbilities(),
        "cma_es": SamplerAbilities(
            models_choices=False, takes_constraints=False, counts_generations=True, max_objectives=1
        ),
        "nsga2": SamplerAbilities(counts_generations=True),
    }
)
"""By the name in the study file."""


class Sampler(Written):
    """The rule by which configurations are drawn."""

    rule: SamplerRule = "tpe"
    """`tpe` (tree-structured Parzen estimator) models good and bad configurations; `random` and
    `quasi_random` (a Sobol sequence, evenly spread) learn nothing; `grid` tries all; `gp` is a Gaussian
    process; `cma_es` an evolution strategy for numbers; `nsga2` a genetic algorithm for several
    objectives."""
    grid_points: int = Field(5, ge=2, le=1000)
    """Values of each real-numbered dimension in a grid, evenly spaced, both ends included; other rules do not
    read it.
    """

    @property
    def abilities(self) -> SamplerAbilities:
        """What the rule can do."""
        return SAMPLERS[self.rule]

    def written(self) -> str | dict[str, str | int]:
        """As a person writes it: the rule's name where there is nothing else to say."""
        return {"rule": self.rule, "grid_points": self.grid_points} if self.rule == "grid" else self.rule
