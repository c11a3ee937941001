"""What a version must show before it takes the champion's place."""

from pydantic import Field

from study.written import Written


class PromotionRules(Written):
    """Rules for versions that the study registers; they travel with each version, as promotion happens later.

    Challenger and champion are compared on the same images of the test split, by the study's objective.
    """

    minimum_gain: float = Field(0.0, ge=-1e6, le=1e6)
    """By how much the objective must be better than the champion's; below 0, by how much it may be worse."""
    confidence: float = Field(0.95, ge=0.5, lt=1.0)
    """Share of paired bootstrap resamples of the images, or of their groups, in which the gain must exceed
    `minimum_gain`; at 0.5 any gain is enough.
    """
    max_recall_loss: float | None = Field(5.0, ge=0.0, le=100.0)
    """Percentage points of recall that any class may lose, where the loss is beyond chance (an exact paired
    test, with `confidence` for all classes together); `null` for no limit."""
    max_latency_ms: float | None = Field(None, ge=0.001, le=1e9, examples=[20])
    """Most milliseconds to classify one image, as measured when the version was registered; `null` for no
    limit."""
