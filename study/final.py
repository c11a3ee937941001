"""What a study came to: the winner's test result and its registered version, kept in the study's folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

RESULT_FILE = "result.json"


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """The winner on the sealed test split."""

    __test__ = False  # its name is the field's; it is no test class

    metrics: dict[str, float]
    accuracy_low: float
    """Ends of the 95 % interval of the accuracy (Wilson score)."""
    accuracy_high: float
    num_images: int
    clean_metrics: dict[str, float] | None
    """On images with no equal in train or validation; None if all images are."""
    num_clean: int
    num_openings: int
    """How often this test split has been opened, this time included."""


@dataclass(frozen=True, kw_only=True)
class Final:
    """What a study came to."""

    trial: int
    test: TestResult
    model: str
    version: int

    def write(self, folder: Path) -> None:
        """Puts the result into the study's folder."""
        (folder / RESULT_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Final | None":
        """The result in a study's folder; None where the study has not come to one."""
        file = folder / RESULT_FILE
        if not file.exists():
            return None
        tree = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**tree, "test": TestResult(**tree["test"])})
