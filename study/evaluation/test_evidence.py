"""What a model said of each image of a test split: enough to compare two models later."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from trainables.datasets.sealed_test import kept_of_test
from trainables.datasets.split import StoredImages
from trainables.inference.latency import median_seconds

if TYPE_CHECKING:  # evidence is read where torch is not needed
    from trainables.inference.classifier import Classifier
    from trainables.inference.ensemble import Ensemble

# N images, K classes

MEASURED_FOLDER = "measured"
"""Inside a study's folder: one folder for each measurement (`FinalResult.measurement`), with one for each
kind of candidate."""
ARRAYS_FILE = "evidence.npz"
FACTS_FILE = "evidence.json"


@dataclass(frozen=True, kw_only=True)
class EvidenceFacts:
    """Which test split was measured, and how fast one image is classified."""

    dataset: str
    dataset_digest: str
    classes: tuple[str, ...]
    latency_ms: float
    """To classify one image, on the machine that measured."""
    kept_columns: tuple[str, ...] = ()
    """That the dataset keeps of its source's table, such as an age."""


@dataclass(frozen=True, kw_only=True)
class TestEvidence(EvidenceFacts):
    """One model on one test split."""

    __test__ = False  # its name is the field's; it is no test class

    labels_N: NDArray[np.int64]
    is_clean_N: NDArray[np.bool_]
    """Whether no image of train or validation has the same pixels or is of the same group, nor did any of
    those that the first weights know.
    """
    probabilities_NK: NDArray[np.float32]
    groups_N: NDArray[np.int64] | None = None
    """Numbers, equal for images of one group (a person, a film); None where images have none."""
    kept_NM: NDArray[np.str_] | None = None
    """The value of each kept column, empty where an image has none; None where no column is kept."""

    def write(self, folder: Path) -> None:
        """Puts the evidence into `folder`, which must exist."""
        arrays: dict[str, Any] = {
            "labels_N": self.labels_N,
            "is_clean_N": self.is_clean_N,
            "probabilities_NK": self.probabilities_NK,
            **({} if self.groups_N is None else {"groups_N": self.groups_N}),
            **({} if self.kept_NM is None else {"kept_NM": self.kept_NM}),
        }
        np.savez_compressed(folder / ARRAYS_FILE, **arrays)
        facts = {fact.name: getattr(self, fact.name) for fact in fields(EvidenceFacts)}
        (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "TestEvidence":
        """The evidence that `write` put into `folder`."""
        facts = TypeAdapter(EvidenceFacts).validate_json((folder / FACTS_FILE).read_bytes())
        with np.load(folder / ARRAYS_FILE) as arrays:
            return cls(**vars(facts), **arrays)

    def values_of(self, column: str) -> NDArray[np.str_] | None:
        """The value (N,) that each image has in a kept column, empty where it has none; None where the column
        is not kept.
        """
        if self.kept_NM is None or column not in self.kept_columns:
            return None
        values_N: NDArray[np.str_] = self.kept_NM[:, self.kept_columns.index(column)]
        return values_N


def kept_values(folder: Path) -> dict[str, Any]:
    """The fields of the evidence that hold what the dataset in `folder` keeps of its source's table."""
    kept = kept_of_test(folder)
    if not kept:
        return {}
    rows = [[value or "" for value in row] for row in zip(*kept.values(), strict=True)]
    return {"kept_columns": tuple(kept), "kept_NM": np.array(rows, np.str_)}


def latency_ms(classifier: "Classifier | Ensemble", image: StoredImages) -> float:
    """How long one stored image takes: the median of a few times."""
    return median_seconds(lambda: classifier.probabilities_of_stored(image)) * 1e3
