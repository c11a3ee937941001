"""What is measured of a trial beside its metrics; of each, less is better."""

from collections.abc import Mapping
from types import MappingProxyType

MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "parameters_million": "parameters of the network, in millions; with folds of all its networks",
        "latency_ms": "milliseconds to classify one image on the trial's device; with folds by all networks",
        "train_seconds": "seconds that the trial trained and validated",
    }
)
"""Names and meanings: objectives after the first, and constraints, may name them."""
