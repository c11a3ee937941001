"""Aliases of a model (champion, previous, candidate): they follow the log of decisions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from study import names
from study.registry.decisions import Decision, champions
from study.registry.versions import Version

if TYPE_CHECKING:
    from mlflow import MlflowClient


def aliases_by(decisions: Sequence[Decision], versions: Sequence[Version]) -> dict[str, int]:
    """The version of each alias by the log; an alias without a version is left out.

    The candidate is the newest version, also once it is champion, and `previous` the champion before the
    last change, also after a rollback: no decision takes an alias away, which in MLflow needs more rights
    than to move one.
    """
    line, known = champions(decisions), {version.number for version in versions}
    aliases = {}
    if known:
        aliases[names.CANDIDATE] = max(known)
    if line and line[-1] in known:
        aliases[names.CHAMPION] = line[-1]
    before = [decision.champion_before for decision in decisions if decision.kind != "refused"]
    previous = next((one for one in reversed(before) if one in known and one not in line[-1:]), None)
    if previous is not None:
        aliases[names.PREVIOUS] = previous
    return aliases


def moved_champion(decisions: Sequence[Decision], versions: Sequence[Version]) -> int | None:
    """The version that a person made champion in MLflow's own pages; None where nobody did.

    An alias that lags one decision behind is the trace of a process that died between log and alias.
    """
    found = next((version.number for version in versions if names.CHAMPION in version.aliases), None)
    by_log = [aliases_by(known, versions).get(names.CHAMPION) for known in (decisions, decisions[:-1])]
    return None if found is None or found in by_log else found


def lagging_aliases(decisions: Sequence[Decision], versions: Sequence[Version]) -> dict[str, int]:
    """The aliases that are not as the log says, and their versions by the log.

    They differ where a process died between log and alias, or where a person moved one.
    """
    found = {alias: version.number for version in versions for alias in version.aliases}
    return {
        alias: number
        for alias, number in aliases_by(decisions, versions).items()
        if found.get(alias) != number
    }


def set_aliases(
    client: "MlflowClient", model: str, decisions: Sequence[Decision], versions: Sequence[Version]
) -> None:
    """Sets the aliases as the log says."""
    for alias, number in lagging_aliases(decisions, versions).items():
        client.set_registered_model_alias(model, alias, str(number))
