"""What a version must show before it takes the champion's place."""

from typing import Annotated, Any

from pydantic import Field

from study.errors import SpecError
from study.written import Written


class SubgroupGap(Written):
    """How far the accuracies of subgroups may lie apart."""

    column: str = Field(min_length=1, max_length=200, examples=["age"])
    """Column that divides the test images, which the dataset keeps (`study data add --keep-column`)."""
    gap: float = Field(ge=0.0, le=1.0, examples=[0.1])
    """The highest accuracy of a subgroup less the lowest may be this much; a larger gap counts where it is
    beyond chance (a permutation test, with `confidence`). Small subgroups do not count."""
    edges: tuple[Annotated[float, Field(ge=-1e9, le=1e9)], ...] = Field(
        (), max_length=19, examples=[[18, 40, 60]]
    )
    """Numbers that divide a column of numbers into ranges; each value is a subgroup, unless given."""

    def model_post_init(self, _: Any) -> None:
        """Raises SpecError for edges that do not rise."""
        if list(self.edges) != sorted(set(self.edges)):
            raise SpecError(
                "promotion.max_subgroup_gap.edges must rise, got "
                f"{', '.join(f'{edge:g}' for edge in self.edges)}",
                key="promotion.max_subgroup_gap.edges",
            )


class PromotionRules(Written):
    """Rules for versions that the study registers; they travel with each version, as promotion happens later.

    Challenger and champion are compared on the same images of the test split, by the study's objective.
    """

    minimum_gain: float = Field(0.0, ge=-1e6, le=1e6)
    """By how much the objective must be better than the champion's; below 0, by how much it may be worse."""
    confidence: float = Field(0.95, ge=0.5, lt=1.0)
    """Confidence with which the gain must exceed `minimum_gain`, by a paired bootstrap of the images, or of
    their groups. It is that of all comparisons on the same test images together, so each needs more, and
    later ones the most; at 0.5 any gain is enough.
    """
    max_recall_loss: float | None = Field(5.0, ge=0.0, le=100.0)
    """Percentage points of recall that any class may lose, where the loss is beyond chance (an exact paired
    test, with `confidence` for all classes together); `null` for no limit."""
    max_latency_ms: float | None = Field(None, ge=0.001, le=1e9, examples=[20])
    """Most milliseconds to classify one image, as measured when the version was registered; `null` for no
    limit."""
    max_subgroup_gap: SubgroupGap | None = Field(None, examples=[{"column": "age", "gap": 0.1}])
    """How far the accuracies of subgroups of the test images, such as ages, may lie apart; `null` for no
    limit. The first champion keeps this rule, too."""
