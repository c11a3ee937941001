"""How often challengers that are no better become champion, and how often better ones do, by the product's
comparison on made-up test images. Prints one JSON line.

    python tests/benchmarks/false_champions.py --images 359 --of all

`--of each` gives every comparison the whole level, `all` spends it, `better` does so where every fifth
challenger is better by 3 points, and `power` tells how often better challengers win.
Each image has a difficulty, and each model is right by its own luck, so that models agree as real ones do.
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from study.evaluation.test_evidence import TestEvidence
from study.registry.comparison import Comparison, compare_evidence
from study.registry.spent_level import Allowance, Compared, allowance
from study.study_file.promotion_rules import PromotionRules

# N images

RULES = PromotionRules(max_recall_loss=None)
NUM_CLASSES = 7
EASE = (1.4, 0.6)
"""Of a beta distribution: models are right in 70 % of images, and two of them differ in 28 %."""
MARGIN = 0.3
"""Standard errors by which a gain must be too small to be promoted whatever the resamples, so that nothing is
asked.
"""


class Images:
    """Made-up test images."""

    def __init__(self, num: int, source: np.random.Generator) -> None:
        self._source = source
        self._labels_N = np.arange(num) % NUM_CLASSES
        self._ease_N = source.beta(*EASE, num)

    def model(self, points: float = 0.0) -> NDArray[np.bool_]:
        """Which images (N,) a model gets right that is better by percentage points than the usual one."""
        share = points / 100 / (1 - EASE[0] / sum(EASE))
        ease_N = self._ease_N + share * (1 - self._ease_N)
        return self._source.random(len(ease_N)) < ease_N

    def evidence(self, is_right_N: NDArray[np.bool_]) -> TestEvidence:
        """What such a model said of the images."""
        predicted_N = np.where(is_right_N, self._labels_N, (self._labels_N + 1) % NUM_CLASSES)
        return TestEvidence(
            dataset="made-up",
            dataset_digest="0" * 64,
            classes=tuple("abcdefg"),
            latency_ms=1.0,
            labels_N=self._labels_N,
            is_clean_N=np.ones(len(predicted_N), bool),
            probabilities_NK=np.eye(NUM_CLASSES, dtype=np.float32)[predicted_N],
        )


def compared(
    images: Images,
    champion_N: NDArray[np.bool_],
    challenger_N: NDArray[np.bool_],
    may_spend: Allowance | None,
) -> Comparison | None:
    """The comparison by accuracy; None where the challenger is hopeless."""
    difference_N = challenger_N.astype(float) - champion_N
    needed = RULES.confidence if may_spend is None else may_spend.needed_confidence(RULES.confidence)
    if difference_N.sum() < (norm.ppf(needed) - MARGIN) * np.sqrt((difference_N**2).sum()):
        return None
    return compare_evidence(
        images.evidence(champion_N), images.evidence(challenger_N), "accuracy", RULES, may_spend
    )


def first_false_champion(num_images: int, num_challengers: int, seed: int, *, is_spent: bool) -> int | None:
    """Which of so many challengers, all as good as the champion, is the first to be promoted; None where none
    is.
    """
    images = Images(num_images, np.random.default_rng(seed))
    champion_N = images.model()
    earlier: list[Compared] = []
    for number in range(2, num_challengers + 2):
        may_spend = allowance(earlier, 1, number) if is_spent else None
        comparison = compared(images, champion_N, images.model(), may_spend)
        if comparison is not None and not comparison.faults:
            return number - 1
        earlier.append(Compared(champion=1, challenger=number, is_by_evidence=False))
    return None


def is_false_beside_better(num_images: int, num_challengers: int, points: float, seed: int) -> bool:
    """Whether a challenger that is not better than the champion becomes champion, where every fifth
    one is better by so many points than all before it.
    """
    images = Images(num_images, np.random.default_rng(seed))
    champion, champion_points, best, champion_N = 1, 0.0, 0.0, images.model()
    earlier: list[Compared] = []
    for number in range(2, num_challengers + 2):
        if number % 5 == 0:
            best += points
        its_points = best if number % 5 == 0 else champion_points
        challenger_N = images.model(its_points)
        may_spend = allowance(earlier, champion, number)
        comparison = compared(images, champion_N, challenger_N, may_spend)
        is_promoted = comparison is not None and not comparison.faults
        earlier.append(Compared(champion=champion, challenger=number, is_by_evidence=is_promoted))
        if is_promoted:
            if its_points <= champion_points:
                return True
            champion, champion_points, champion_N = number, its_points, challenger_N
    return False


def power(num_images: int, points: float, numbers: tuple[int, ...], num_rounds: int) -> dict[str, float]:
    """The share of challengers, better by so many points, that are promoted: at the confidence of the rules,
    and as the comparison of each number after others that were refused.
    """
    reached = []
    for seed in range(num_rounds):
        images = Images(num_images, np.random.default_rng(seed))
        comparison = compared(images, images.model(), images.model(points), None)
        reached.append(0.0 if comparison is None else comparison.confidence)
    needed = {"uncorrected": RULES.confidence, **{f"comparison {one}": needed_at(one) for one in numbers}}
    return {name: float(np.mean(np.array(reached) >= one)) for name, one in needed.items()}


def needed_at(number: int) -> float:
    """The confidence that a comparison needs after others that were refused."""
    earlier = [Compared(champion=1, challenger=one, is_by_evidence=False) for one in range(2, number + 1)]
    return allowance(earlier, 1, number + 1).needed_confidence(RULES.confidence)


def main() -> None:
    """Prints the shares of rounds with a false champion, or those of better challengers that win."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=359)
    parser.add_argument("--challengers", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--of", choices=("each", "all", "better", "power"), default="all")
    options = parser.parse_args()
    num_images, num = options.images, options.challengers
    shares: dict[str, Callable[[int], bool]] = {
        "each": lambda seed: first_false_champion(num_images, num, seed, is_spent=False) is not None,
        "all": lambda seed: first_false_champion(num_images, num, seed, is_spent=True) is not None,
        "better": lambda seed: is_false_beside_better(num_images, num, 3.0, seed),
    }
    found: dict[str, Any] = (
        {f"{points} points": power(num_images, points, (1, 5, 20), options.rounds) for points in (1, 2, 3)}
        if options.of == "power"
        else {"false_champions": float(np.mean([shares[options.of](seed) for seed in range(options.rounds)]))}
    )
    print(json.dumps({**vars(options), **found}))


if __name__ == "__main__":
    main()
