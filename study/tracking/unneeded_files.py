"""Files of MLflow's runs that nobody needs: of trials that were pruned long ago, and of deleted runs."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from study import names
from study.connections.mlflow_client import addressed_to, all_pages
from study.registry.versions import list_versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PRUNED = f"tags.`{names.STATE}` = 'pruned'"


@dataclass(frozen=True, kw_only=True)
class UnneededFiles:
    """All files of one run."""

    run_id: str
    name: str
    """Study and trial where it is known, else the run's id."""
    why: str
    location: str
    """Where MLflow keeps them."""
    num_files: int
    num_bytes: int


def unneeded_files(
    client: "MlflowClient", before: float, going_on: Collection[str]
) -> Iterator[UnneededFiles]:
    """Files of runs of studies that were pruned, or deleted, and ended before a moment in seconds since 1970.

    Runs of studies in `going_on`, or whose own run has not ended, keep theirs, as do runs that a registered
    version names. Raises MlflowException.
    """
    registered = {version.run_id for version in list_versions(client)}
    is_over: dict[str, bool] = {}
    for run, why in _runs(client):
        tags, info = run.data.tags, run.info
        is_needed = info.run_id in registered or tags.get(names.STUDY, "") in going_on
        is_old = (info.end_time or info.start_time or 0) < before * 1000
        if names.STUDY not in tags or is_needed or not is_old:
            continue
        parent = tags.get(names.PARENT)
        if parent is not None and parent not in is_over:
            is_over[parent] = _is_over(client, parent)
        if parent is not None and not is_over[parent]:
            continue
        if sizes := _sizes(_repository(client, info.artifact_uri)):
            yield UnneededFiles(
                run_id=info.run_id,
                name=f"{tags[names.STUDY]}/{info.run_name or info.run_id}",
                why=why,
                location=str(info.artifact_uri),
                num_files=len(sizes),
                num_bytes=sum(sizes),
            )


def delete_files(client: "MlflowClient", found: UnneededFiles) -> bool:
    """Deletes them, unless a version was registered from the run by now."""
    if found.run_id in {version.run_id for version in list_versions(client)}:
        return False
    _repository(client, found.location).delete_artifacts()
    return True


def _runs(client: "MlflowClient") -> "Iterator[tuple[Run, str]]":
    from mlflow.entities import ViewType

    ids = [one.experiment_id for one in all_pages(client.search_experiments, view_type=ViewType.ALL)]
    for view, wanted, why in (
        (ViewType.ACTIVE_ONLY, _PRUNED, "pruned"),
        (ViewType.DELETED_ONLY, "", "deleted"),
    ):
        for run in all_pages(
            client.search_runs, experiment_ids=ids, filter_string=wanted, run_view_type=view
        ):
            yield run, why


def _is_over(client: "MlflowClient", run_id: str) -> bool:
    """Whether the run of a study has ended, or was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        info = client.get_run(run_id).info
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return True
    return info.lifecycle_stage == "deleted" or info.status == "FINISHED"


def _repository(client: "MlflowClient", location: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with addressed_to(client.tracking_uri):
        return get_artifact_repository(location)


def _sizes(repository: Any) -> list[int]:
    """Bytes of each file."""
    sizes: list[int] = []
    folders: list[str | None] = [None]
    while folders:
        for one in repository.list_artifacts(folders.pop()):
            if one.is_dir:
                folders.append(one.path)
            else:
                sizes.append(int(one.file_size or 0))
    return sizes
