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

    The candidate is the newest version, unless it was promoted before.
    """
    line, known = champions(decisions), {version.number for version in versions}
    present = [number for number in line if number in known]
    aliases = {}
    if line and line[-1] in known:
        aliases[names.CHAMPION] = line[-1]
        if len(present) > 1:
            aliases[names.PREVIOUS] = present[-2]
    promoted = {decision.version for decision in decisions if decision.kind != "refused"}
    newest = max(known, default=None)
    if newest is not None and newest not in promoted:
        aliases[names.CANDIDATE] = newest
    return aliases


def moved_champion(decisions: Sequence[Decision], versions: Sequence[Version]) -> int | None:
    """The version that a person made champion in MLflow's own pages; None where nobody did.

    An alias that lags one decision behind is the trace of a process that died between log and alias.
    """
    found = next((version.number for version in versions if names.CHAMPION in version.aliases), None)
    by_log = [aliases_by(known, versions).get(names.CHAMPION) for known in (decisions, decisions[:-1])]
    return None if found is None or found in by_log else found


def mend_aliases(
    client: "MlflowClient", model: str, decisions: Sequence[Decision], versions: Sequence[Version]
) -> bool:
    """Sets the aliases as the log says; returns whether any was different.

    They differ where a process died between log and alias, or where a person moved one.
    """
    wanted = aliases_by(decisions, versions)
    found = {
        alias: version.number for version in versions for alias in version.aliases if alias in names.ALIASES
    }
    for alias, number in wanted.items():
        if found.get(alias) != number:
            client.set_registered_model_alias(model, alias, str(number))
    for alias in found.keys() - wanted.keys():
        client.delete_registered_model_alias(model, alias)
    return wanted != found
