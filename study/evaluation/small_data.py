"""What a person should know of a small dataset before anything is spent on it."""

from study.evaluation.wilson import share_interval
from trainables.datasets.manifest import Manifest, SplitSummary

WIDE = 0.1
"""Width of an interval of an accuracy from which on a person is told of it."""
FEW_OF_A_CLASS = 20
"""Images of a class in the test split below which its recall is hardly known."""
ASSUMED_ACCURACY = 0.8
"""Of which the width is told; it depends little on it."""


def small_data_remarks(manifest: Manifest) -> tuple[str, ...]:
    """Sentences on splits that are too small to tell much: the images, the groups and the intervals to
    expect; none for a large dataset.
    """
    splits = manifest.splits
    if "test" not in splits or "validation" not in splits:
        return ()
    test, validation = splits["test"], splits["validation"]
    sentences = []
    fewest = min(test.num_by_class)
    if _width(_num_units(test)) > WIDE or fewest < FEW_OF_A_CLASS:
        of_class = manifest.classes[test.num_by_class.index(fewest)]
        sentences.append(
            f"The test split is small: {_counted(test)}, {fewest} of class {of_class}. {_expected(test)} "
            "More images tell more, or a larger --test-fraction of them."
        )
    if _width(_num_units(validation)) > WIDE:
        sentences.append(
            f"The validation split, which chooses among trials, is small: {_counted(validation)}. "
            f"{_expected(validation)}"
        )
    return tuple(sentences)


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
