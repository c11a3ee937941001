"""Closing MLflow runs, by a trial's process or by the driver that outlives it."""

from collections.abc import Mapping
from typing import Any


def close_run(client: Any, run_id: str | None, status: str, tags: Mapping[str, str]) -> None:
    """Sets tags and the final status of a run."""
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    client.set_terminated(run_id, status)
