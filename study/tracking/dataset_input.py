"""The dataset of a run, as MLflow shows it."""

import json

from study.tracking.log_records import DatasetUsed
from trainables.datasets.manifest import Manifest

DIGEST_LENGTH = 36
"""MLflow keeps no more characters; the whole digest is a tag."""


def dataset_used(manifest: Manifest) -> DatasetUsed:
    """The dataset by name and digest, with its source and the sizes of the splits that trials see."""
    return DatasetUsed(
        name=manifest.name,
        digest=manifest.digest[:DIGEST_LENGTH],
        source=json.dumps({"source": manifest.source, "licence": manifest.licence}),
        profile=json.dumps(
            {name: split.num_images for name, split in manifest.splits.items() if name != "test"}
        ),
    )
