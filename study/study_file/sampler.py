"""How the next configuration is chosen."""

from typing import Literal

from pydantic import Field

from study.written import Written


class Sampler(Written):
    """The rule by which configurations are drawn."""

    rule: Literal["tpe", "random", "grid", "quasi_random", "gp", "cma_es", "nsga2"] = "tpe"
    grid_points: int = Field(5, ge=2, le=1000)
    """Values of each real-numbered dimension in a grid, evenly spaced, both ends included; other rules do not read it."""

    def written(self) -> str | dict[str, str | int]:
        """As a person writes it: the rule's name where there is nothing else to say."""
        return {"rule": self.rule, "grid_points": self.grid_points} if self.rule == "grid" else self.rule
