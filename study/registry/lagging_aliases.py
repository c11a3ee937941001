"""Aliases that lag behind the decisions, as where a process died between log and alias."""

from study.connections.model_registry import has_database, registry_of
from study.home import Home
from study.registry.aliases import lagging_aliases, moved_champion, set_aliases
from study.registry.decision_log import DecisionLog
from study.registry.versions import list_versions


def model_names(home: Home) -> tuple[str, ...]:
    """The models that studies of a home registered, by name. Raises TrackingError."""
    if not has_database(home):
        return ()
    with registry_of(home) as client:
        return tuple(sorted({version.model for version in list_versions(client)}))


def has_lagging_aliases(home: Home, model: str) -> bool:
    """Whether the aliases of a model differ from its decisions, and nobody moved its champion by hand."""
    with registry_of(home) as client:
        decisions, versions = DecisionLog.read(client, home, model).decisions, list_versions(client, model)
        return moved_champion(decisions, versions) is None and bool(lagging_aliases(decisions, versions))


def follow_decisions(home: Home, model: str) -> None:
    """Sets the aliases of a model as its decisions have it."""
    with registry_of(home) as client:
        decisions, versions = DecisionLog.read(client, home, model).decisions, list_versions(client, model)
        set_aliases(client, model, decisions, versions)
