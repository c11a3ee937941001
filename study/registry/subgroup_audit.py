"""The audit of a registered version: by subgroup of what its dataset keeps of each test image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import did_you_mean
from study.connections.model_registry import registry_of
from study.errors import SpecError
from study.evaluation.subgroups import Audit, audit
from study.evaluation.test_evidence import TestEvidence, kept_values
from study.home import Home
from study.registry.version_files import fetch
from study.registry.version_layout import EVIDENCE
from study.registry.versions import find_version
from trainables.datasets.listing import list_datasets

# N images


@dataclass(frozen=True, kw_only=True)
class VersionAudit:
    """A version, and how it does by subgroup."""

    version: str
    audit: Audit


def audit_version(home: Home, wanted: str, column: str, edges: Sequence[float] = ()) -> VersionAudit:
    """The audit of the version that a person names, on what it said of the test images when it was measured.

    The test split is not opened again. The column's values are those that were kept with the measurement, or
    that the dataset keeps now. Raises SpecError, UnknownModelError or MissingFilesError.
    """
    with registry_of(home) as client:
        version = find_version(client, wanted)
        evidence = TestEvidence.read(fetch(client, home, version, EVIDENCE))
    values_N = column_values(home, evidence, column)
    return VersionAudit(version=version.name, audit=audit(evidence, column, values_N, edges))


def column_values(home: Home, evidence: TestEvidence, column: str) -> NDArray[np.str_]:
    """The value (N,) of each test image in a column, empty for none.

    Raises SpecError where neither the evidence nor a dataset of the same digest keeps it.
    """
    values_N = evidence.values_of(column)
    if values_N is not None:
        return values_N
    known = list(evidence.kept_columns)
    for manifest in list_datasets(home.datasets):
        if manifest.digest == evidence.dataset_digest:
            kept = kept_values(home.datasets / manifest.name)
            if column in (columns := kept.get("kept_columns", ())):
                found_N: NDArray[np.str_] = kept["kept_NM"][:, columns.index(column)]
                return found_N
            known += columns
    keeps = (
        f"it keeps {', '.join(dict.fromkeys(known))}{did_you_mean(column, known)}"
        if known
        else "it keeps none"
    )
    raise SpecError(
        f"the dataset {evidence.dataset!r} keeps no column {column!r}; {keeps}; add it again from its table, "
        f"which leaves its digest as it is: study data add {evidence.dataset} --from TABLE --keep-column "
        f"{column} --replace"
    )
