"""What a person should know of a small dataset before anything is spent on it."""

from study.evaluation.wilson import share_interval
from trainables.datasets.manifest import Manifest, SplitSummary

WIDE = 0.1
"""Width of an interval of an accuracy from which on a person is told of it."""
FEW_OF_A_CLASS = 20
"""Images of a class in the test split below which its recall is hardly known."""
ASSUMED_ACCURACY = 0.8
"""Of which the width is told; it depends little on it."""
USUAL_FOLDS = 5


def small_data_remarks(manifest: Manifest, num_folds: int | None = None) -> tuple[str, ...]:
    """Sentences on images that are too few to tell much: how many, their groups and the intervals to expect;
    none for a large dataset.

    They are those of the test split, and of the validation split, or, with folds, of train and validation.
    """
    splits = manifest.splits
    if "test" not in splits or "validation" not in splits:
        return ()
    test, validation, pool = splits["test"], splits["validation"], _pool(manifest)
    sentences = []
    fewest = min(test.num_by_class)
    if _width(_num_units(test)) > WIDE or fewest < FEW_OF_A_CLASS:
        of_class = manifest.classes[test.num_by_class.index(fewest)]
        sentences.append(
            f"The test split is small: {_counted(test)}, {fewest} of class {of_class}. {_expected(test)} "
            "More images tell more, or a larger --test-fraction of them."
        )
    if num_folds is not None and _width(_num_units(pool)) > WIDE:
        sentences.append(
            f"The images of all folds, which choose among trials, are few: {_counted(pool)}. "
            f"{_expected(pool)}"
        )
    elif num_folds is None and _width(_num_units(validation)) > WIDE:
        sentences.append(
            f"The validation split, which chooses among trials, is small: {_counted(validation)}. "
            f"{_expected(validation)}{_offered(pool)}"
        )
    return tuple(sentences)


def _pool(manifest: Manifest) -> SplitSummary:
    """Train and validation together."""
    train, validation = manifest.splits["train"], manifest.splits["validation"]
    num_groups = None
    if train.num_groups is not None and validation.num_groups is not None:
        in_both = manifest.findings.num_groups_across.get("train+validation", 0)
        num_groups = train.num_groups + validation.num_groups - in_both
    return SplitSummary(
        num_images=train.num_images + validation.num_images,
        num_by_class=tuple(map(sum, zip(train.num_by_class, validation.num_by_class, strict=True))),
        digest="",
        origin="",
        num_groups=num_groups,
    )


def _offered(pool: SplitSummary) -> str:
    """Folds, where there are images for them."""
    if min((*pool.num_by_class, _num_units(pool))) < USUAL_FOLDS:
        return ""
    return (
        f" `validate: {{folds: {USUAL_FOLDS}}}` in a study file validates on all {_counted(pool)} of train "
        f"and validation, for about {USUAL_FOLDS} times the work."
    )


def _num_units(split: SplitSummary) -> int:
    """Images, or groups where there are some: what the split is worth at least."""
    return split.num_images if split.num_groups is None else split.num_groups


def _counted(split: SplitSummary) -> str:
    groups = "" if split.num_groups is None else f" of {split.num_groups:,} groups"
    return f"{split.num_images:,} images{groups}"


def _expected(split: SplitSummary) -> str:
    """The interval of an accuracy; with groups it depends on how alike the images of a group are."""
    by_image = _interval(split.num_images)
    if split.num_groups is None:
        return f"An accuracy of {ASSUMED_ACCURACY:.0%} will have an interval of about {by_image}."
    return (
        f"An accuracy of {ASSUMED_ACCURACY:.0%} will have an interval of about {by_image}, or up to "
        f"{_interval(split.num_groups)} where the images of a group are alike."
    )


def _interval(num: int) -> str:
    ends = share_interval(round(ASSUMED_ACCURACY * num), num)
    return f"{ends.low:.0%} to {ends.high:.0%}"


def _width(num: int) -> float:
    ends = share_interval(round(ASSUMED_ACCURACY * num), num)
    return ends.high - ends.low
