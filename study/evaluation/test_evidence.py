"""What a model said of each image of a test split: enough to compare two models later."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble
from trainables.inference.latency import median_seconds

# N images, K classes

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

    def write(self, folder: Path) -> None:
        """Puts the evidence into `folder`, which must exist."""
        arrays: dict[str, Any] = {
            "labels_N": self.labels_N,
            "is_clean_N": self.is_clean_N,
            "probabilities_NK": self.probabilities_NK,
            **({} if self.groups_N is None else {"groups_N": self.groups_N}),
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


def latency_ms(classifier: Classifier | Ensemble, image_1HWC: NDArray[np.uint8]) -> float:
    """How long one stored image takes: the median of a few times."""
    return median_seconds(lambda: classifier.probabilities_of_stored(image_1HWC)) * 1e3
