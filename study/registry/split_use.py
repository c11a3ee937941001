"""How far the test images of a model are used up: openings, comparisons, and what the next one needs."""

from dataclasses import dataclass

from study import names
from study.home import Home
from study.registry.decision_log import DecisionLog
from study.registry.decisions import Decision, champions
from study.registry.spent_level import Compared, allowance, different, shown_confidence
from study.registry.versions import Version
from study.study_file.promotion_rules import PromotionRules
from trainables.datasets.sealed_test import openings


@dataclass(frozen=True, kw_only=True)
class SplitUse:
    """What decisions on a model took of its test images, those of the last comparison."""

    model: str
    num_openings: int | None
    """None where the dataset is not here."""
    num_comparisons: int
    """Different ones; zero where no two versions were compared."""
    confidence: float
    """That all comparisons together keep, by the rules of the newest version."""
    next_confidence: float
    """That the next new comparison needs."""
    champion: int | None
    gain: str | None
    """How much better the champion is than the one before it, where it was promoted by evidence."""

    def sentences(self) -> tuple[str, ...]:
        """What a person should know before they look at these images once more."""
        opened = {None: "", 1: "opened once, "}.get(self.num_openings, f"opened {self.num_openings} times, ")
        compared = f"{_comparisons(self.num_comparisons)} of versions"
        needed, of_all = shown_confidence(self.next_confidence), shown_confidence(self.confidence)
        return (
            f"test split of {self.model}: {opened}{compared}; the next one needs {needed} % confidence, so "
            f"that all together keep {of_all} %",
            *(() if self.gain is None else (f"{self.model}/{self.champion}, champion: {self.gain}",)),
        )


def compared_on(log: DecisionLog, dataset_digest: str) -> tuple[Compared, ...]:
    """The comparisons on the test images of one dataset that the log tells of, the first of them first."""
    return tuple(
        Compared(
            champion=one.champion_before,
            challenger=one.version,
            is_by_evidence=one.kind == "promoted" and not one.forced,
        )
        for one in log.decisions
        if one.champion_before is not None and _digest(log, one) == dataset_digest
    )


def num_comparisons(log: DecisionLog, dataset_digest: str) -> int:
    """How many different comparisons were made on the test images of one dataset."""
    return len(different(compared_on(log, dataset_digest)))


def split_use(home: Home, log: DecisionLog, newest: Version) -> SplitUse:
    """The use of the test images that the last comparison was made on, or else of the newest version's."""
    digests = [digest for one in log.decisions if (digest := _digest(log, one)) is not None]
    digest = digests[-1] if digests else newest.tags.get(names.DATASET_DIGEST, "")
    rules = PromotionRules.model_validate_json(newest.tags.get(names.PROMOTION, "{}"))
    earlier = compared_on(log, digest)
    folder = home.datasets / log.model
    # A pair that is none, so that it is a new one.
    upcoming = allowance(earlier, champion=0, challenger=0)
    line = champions(log.decisions)
    return SplitUse(
        model=log.model,
        num_openings=sum(one.dataset_digest == digest for one in openings(folder)) or None,
        num_comparisons=num_comparisons(log, digest),
        confidence=rules.confidence,
        next_confidence=upcoming.needed_confidence(rules.confidence),
        champion=line[-1] if line else None,
        gain=_gain(log, line[-1]) if line else None,
    )


def _digest(log: DecisionLog, decision: Decision) -> str | None:
    tables = log.tables(decision)
    return None if tables is None else tables.get("dataset_digest")


def _gain(log: DecisionLog, champion: int) -> str | None:
    """What its promotion says of the gain; None where it was forced, or there was none to compare with."""
    promoted = [one for one in log.decisions if one.version == champion and one.kind == "promoted"]
    tables = None if not promoted or promoted[-1].forced else log.tables(promoted[-1])
    if tables is None or tables.get("number") is None:
        return None
    metric, before = tables["metric"].replace("_", " "), f"{log.model}/{promoted[-1].champion_before}"
    needed, num = shown_confidence(tables["needed_confidence"]), _comparisons(tables["number"])
    return (
        f"{metric} better than that of {before} by {tables['gain']:.4f}, at least by "
        f"{tables['gain_low']:.4f} with {needed} % confidence, corrected for {num}"
    )


def _comparisons(num: int) -> str:
    return f"{num or 'no'} comparison{'' if num == 1 else 's'}"
