"""The versions of registered models, and the one that a person names."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from search_spaces.errors import did_you_mean
from study import names
from study.connections.mlflow_client import all_pages
from study.errors import SpecError, UnknownModelError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

PREFIX = "models:/"
FORMS = "NAME, NAME/VERSION, NAME@champion or models:/NAME/VERSION"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a dataset's model, without its files."""

    model: str
    number: int
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    run_id: str | None
    source: str
    """Where MLflow keeps its files."""
    registered: str
    """UTC, ISO 8601."""

    @property
    def name(self) -> str:
        """As a person writes it: fer2013/3."""
        return f"{self.model}/{self.number}"

    def check_is_of_a_study(self) -> None:
        """Raises SpecError for a version that somebody registered by hand: it lacks a study's tags."""
        if names.OBJECTIVE not in self.tags:
            raise SpecError(
                f"{self.name} was not registered by a study; name one that was: study models {self.model}"
            )


def list_versions(client: "MlflowClient", model: str | None = None) -> tuple[Version, ...]:
    """All versions of a model, or of all models that studies registered, the newest first.

    Raises UnknownModelError for a model that is not there.
    """
    if model is not None:
        return _versions(client, _registered(client, model))
    return tuple(
        version
        for one in _registered_models(client)
        for version in _versions(client, one)
        if names.STUDY in version.tags
    )


def model_of(wanted: str) -> str:
    """The model in any of the forms in which a person names one, with a version or without."""
    return wanted.removeprefix(PREFIX).partition("/")[0].partition("@")[0]


def find_version(client: "MlflowClient", wanted: str) -> Version:
    """The version that a person names: `fer2013/3`, `fer2013@champion`, `models:/fer2013/3`, `fer2013`.

    A name alone means the champion, else the newest version. Raises UnknownModelError, listing what there is.
    """
    written = wanted.removeprefix(PREFIX)
    model, slash, number = written.partition("/")
    model, at, alias = (model, "", "") if slash else model.partition("@")
    versions = list_versions(client, model)
    if not versions:
        raise UnknownModelError(
            f"model {model!r} has no versions; a study registers its best one: study run SPEC"
        )
    if slash:
        found = [version for version in versions if str(version.number) == number]
    elif at:
        found = [version for version in versions if alias in version.aliases]
    else:
        found = [version for version in versions if names.CHAMPION in version.aliases] or [versions[0]]
    if not found:
        listed = ", ".join("@".join((str(version.number), *version.aliases)) for version in versions)
        named = number if slash else at + alias
        raise UnknownModelError(
            f"model {model!r} has no version {named!r}; it has {listed}; name one as {FORMS}"
        )
    return found[0]


def _registered(client: "MlflowClient", model: str) -> "RegisteredModel":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(model)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        known = [found.name for found in _registered_models(client)]
        listed = (
            f"known: {', '.join(known)}"
            if known
            else "there are none yet; a study registers its best one: study run SPEC"
        )
        raise UnknownModelError(f"unknown model {model!r}; {listed}{did_you_mean(model, known)}") from None


def _registered_models(client: "MlflowClient") -> "list[RegisteredModel]":
    return sorted(all_pages(client.search_registered_models), key=lambda one: one.name)


def _versions(client: "MlflowClient", registered: "RegisteredModel") -> tuple[Version, ...]:
    name = registered.name.replace("'", "''")
    found = all_pages(client.search_model_versions, filter_string=f"name='{name}'")
    versions = [
        Version(
            model=one.name,
            number=int(one.version),
            aliases=tuple(
                sorted(
                    alias for alias, number in registered.aliases.items() if int(number) == int(one.version)
                )
            ),
            tags=one.tags,
            run_id=one.run_id or None,
            source=one.source or "",
            registered=datetime.fromtimestamp(one.creation_timestamp / 1000, UTC).isoformat(
                timespec="seconds"
            ),
        )
        for one in found
        if one.name == registered.name
    ]
    return tuple(sorted(versions, key=lambda version: -version.number))
