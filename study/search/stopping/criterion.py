"""One ground on which trials are stopped or made to wait."""

from collections.abc import Callable, Collection, Mapping

from study.search.stopping.rule import GO_ON, Generation, Verdict
from study.search.stopping.standing import Standing


class Criterion:
    """Remembers standings and gives verdicts on them. Each standing is recorded once, before its verdict is asked."""

    def record(self, standing: Standing) -> None:
        """Takes in how a trial stands."""

    def verdict(self, standing: Standing) -> Verdict:
        """What becomes of a trial that stands so. Asking changes nothing that a later verdict depends on."""
        return GO_ON

    def next_promotion(self, paused: Collection[int], *, is_closing: bool) -> int | None:
        """Which of the paused trials should go on."""
        return None

    def next_generation(
        self, epoch: int, waiting: Collection[int], unfit: Mapping[int, str], is_spared: Callable[[Standing], bool]
    ) -> Generation | None:
        """See StoppingRule; one that `is_spared` keeps its place."""
        return None
