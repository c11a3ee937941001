"""The dataset of a run, as MLflow shows it."""

import json
from typing import Any

from trainables.datasets.manifest import Manifest


def log_dataset(client: Any, run_id: str | None, manifest: Manifest) -> None:
    """The dataset by name and digest (MLflow keeps 36 characters of it; the whole one is a tag)."""
    from mlflow.entities import Dataset, DatasetInput

    source = json.dumps({"source": manifest.source, "licence": manifest.licence})
    profile = json.dumps({name: split.num_images for name, split in manifest.splits.items() if name != "test"})
    dataset = Dataset(name=manifest.name, digest=manifest.digest[:36], source_type="study", source=source, profile=profile)
    client.log_inputs(run_id, [DatasetInput(dataset)])
