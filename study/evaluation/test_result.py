"""The result of one candidate on the sealed test split."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A measured value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """One class on the test split."""

    name: str
    recall: Interval | None
    """Share of its images that were recognised; None where it has none."""
    precision: Interval | None
    """Share of right ones among the images taken for it; None where none was."""
    num_images: int
    num_predicted: int
    """Images taken for it."""
    num_groups: int | None = None
    """That its images are of; None where images have no groups."""


@dataclass(frozen=True, kw_only=True)
class CalibrationScores:
    """Scores of probabilities; of each, less is better."""

    ece: float
    """Expected calibration error of the most probable class, in [0, 1] (15 bins of equal width,
    arXiv:1706.04599).
    """
    log_loss: float
    brier: float
    """Sum over classes of the squared error of the probability, mean over images, in [0, 2]."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The probabilities with and without temperature scaling. Its labels are the same both ways."""

    temperature: float
    """Fitted to the validation split; with folds to each image's probabilities by the networks that were not
    trained on it."""
    before: CalibrationScores
    after: CalibrationScores
    is_registered: bool
    """Whether the registered version applies the temperature: where its recipe says `calibration:
    temperature`, and one fits.
    """
    is_at_bound: bool = False
    """Whether the temperature is an end of its range: none fits, and no version applies it."""
    validation_by_halves: tuple[CalibrationScores, CalibrationScores] | None = None
    """Without and with a temperature on what it was fitted to, where each half has the temperature of the
    other (cross-fit); None where there are too few images.
    """
    is_by_member: bool = False
    """Whether the networks of an ensemble apply temperatures of their own, which both ways have."""

    @property
    def is_worse(self) -> bool:
        """Whether the log-loss of the test split is worse with the temperature than without."""
        return self.after.log_loss > self.before.log_loss


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """One candidate on the sealed test split."""

    __test__ = False  # its name is the field's; it is no test class

    metrics: Mapping[str, Interval]
    """By the names of `trainables.metrics.classification.METRICS`."""
    num_images: int
    num_groups: int | None = None
    """That the images are of (persons, films): intervals are over groups; None where images have none."""
    clean_metrics: Mapping[str, Interval] | None
    """On images with no equal in train or validation, nor in what the first weights were trained on; None if
    all images are, or none is.
    """
    num_clean: int
    num_openings: int
    """How often this test split had been opened, this time included."""
    classes: tuple[ClassResult, ...]
    """In the dataset's order."""
    calibration: Calibration
    remarks: tuple[str, ...] = ()
    """What spoils the numbers, such as first weights that know test images; a sentence each."""
