"""Promotion of a version to champion, rollback, and the history of both."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from study import names
from study.connections.model_registry import has_database, registry_of
from study.errors import ConflictError, SpecError, UnknownModelError
from study.home import Home
from study.registry.aliases import mend_aliases, moved_champion
from study.registry.comparable_evidence import comparable_evidence
from study.registry.comparison import Comparison, compare_evidence
from study.registry.decision_log import DecisionLog
from study.registry.decisions import MAX_REASON, MAX_SENTENCE, Decision, champions, sentences, tables
from study.registry.version_files import has_files
from study.registry.versions import Version, find_version, list_versions, model_of
from study.study_file.promotion_rules import PromotionRules
from study.user import current_user

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A decision, with the comparison that it is based on."""

    model: str
    decision: Decision
    comparison: Comparison | None


@dataclass(frozen=True, kw_only=True)
class History:
    """All decisions on a model, the earliest first."""

    model: str
    decisions: tuple[Decision, ...]
    tables: dict[str, dict[str, Any] | None]
    """Those of each decision, by its key; None where it has none."""


def promote(
    home: Home,
    model: str,
    number: int | None = None,
    *,
    force: bool = False,
    reason: str | None = None,
    user: str | None = None,
) -> Outcome:
    """Makes a version, the candidate by default, the champion of its model if it keeps its promotion rules.

    `model` is its name, with `number` beside it, or names the version itself, as `fer2013/3` does.
    The decision, also one to refuse, goes into the log. With `force` a refusal is overruled, which needs a
    reason. Raises SpecError or UnknownModelError for what cannot be, ConflictError if somebody else decided
    in the meantime.
    """
    _check_reason(reason, is_needed=force)
    with registry_of(home) as client:
        model, number = _named(client, model, number)
        log, versions = _read(client, home, model)
        challenger = _challenger(model, number, versions, log)
        challenger.check_is_of_a_study()
        line = champions(log.decisions)
        if line and line[-1] == challenger.number:
            raise SpecError(
                f"{challenger.name} is the champion already; see its history: study history {model}"
            )
        comparison, evidence, is_fit = _evidence(
            client, home, challenger, line[-1] if line else None, versions
        )
        decision = _decision(
            kind="promoted" if is_fit or force else "refused",
            champion_before=line[-1] if line else None,
            version=challenger.number,
            forced=force and not is_fit,
            reason=reason,
            evidence=evidence,
            user=user,
        )
        _record(client, log, decision, None if comparison is None else tables(comparison))
    return Outcome(model=model, decision=decision, comparison=comparison)


def adopt(home: Home, model: str, *, reason: str | None = None, user: str | None = None) -> Outcome:
    """Takes over the champion that somebody chose in MLflow's own pages, and notes that nobody knows who.

    Raises SpecError where the alias is as the decisions say.
    """
    _check_reason(reason, is_needed=False)
    model = model_of(model)
    with registry_of(home) as client:
        log, versions = _read(client, home, model)
        moved = moved_champion(log.decisions, versions)
        line = champions(log.decisions)
        if moved is None:
            now = f"version {line[-1]}" if line else "none"
            raise SpecError(
                f"the champion of {model} is {now} by the decisions and in MLflow: nothing to adopt"
            )
        decision = _decision(
            kind="adopted",
            champion_before=line[-1] if line else None,
            version=moved,
            forced=False,
            reason=reason,
            evidence=("somebody moved the alias champion in MLflow's own pages; nothing was compared",),
            user=user,
        )
        _record(client, log, decision, None)
    return Outcome(model=model, decision=decision, comparison=None)


def moved_champions(home: Home, model: str | None = None) -> tuple[str, ...]:
    """A sentence for each model whose champion somebody moved in MLflow's own pages; nothing is changed."""
    if model is None and not has_database(home):
        return ()
    found = []
    with registry_of(home) as client:
        for name in {version.model for version in list_versions(client, model and model_of(model))}:
            decisions = DecisionLog.read(client, home, name).decisions
            moved = moved_champion(decisions, list_versions(client, name))
            if moved is not None:
                line = champions(decisions)
                found.append(_moved_text(f"{name}/{moved}", name, line[-1] if line else None))
    return tuple(found)


def _moved_text(version: str, model: str, by_log: int | None) -> str:
    return (
        f"somebody made {version} the champion in MLflow's own pages; by the decisions it is "
        f"{'none' if by_log is None else f'version {by_log}'}. Take it over: study promote {model} --adopt. "
        "Any other decision puts the alias back"
    )


def rollback(home: Home, model: str, *, reason: str | None = None, user: str | None = None) -> Outcome:
    """Makes the previous champion the champion again.

    Raises SpecError where there is none, ConflictError as `promote`.
    """
    _check_reason(reason, is_needed=False)
    model = model_of(model)
    with registry_of(home) as client:
        log, versions = _read(client, home, model)
        *earlier, now = champions(log.decisions) or (None,)
        known = {version.number for version in versions}
        back = next((number for number in reversed(earlier) if number in known), None)
        if now is None or back is None:
            before = f"version {now} is its first champion" if now else "it has no champion"
            raise SpecError(
                f"{model} cannot go back: {before}; promote another version: study promote {model} VERSION"
            )
        lost = [number for number in earlier if number not in known]
        evidence = (
            (f"versions {', '.join(map(str, lost))} are gone from MLflow, and were passed over",)
            if lost
            else ()
        )
        decision = _decision(
            kind="rolled back",
            champion_before=now,
            version=back,
            forced=False,
            reason=reason,
            evidence=evidence,
            user=user,
        )
        _record(client, log, decision, None)
    return Outcome(model=model, decision=decision, comparison=None)


def history(home: Home, model: str) -> History:
    """All decisions on a model; needs MLflow's database alone, no files."""
    model = model_of(model)
    with registry_of(home) as client:
        log, _ = _read(client, home, model)
        return History(
            model=model, decisions=log.decisions, tables={one.key: log.tables(one) for one in log.decisions}
        )


def versions_with_files(home: Home, model: str | None) -> tuple[tuple[Version, bool], ...]:
    """The versions of a model, or of all models, and whether the files of each are there."""
    if model is None and not has_database(home):
        return ()
    model = None if model is None else model_of(model)
    with registry_of(home) as client:
        for name in {version.model for version in list_versions(client, model)}:
            _read(client, home, name)
        return tuple((version, has_files(client, home, version)) for version in list_versions(client, model))


def _named(client: "MlflowClient", wanted: str, number: int | None) -> tuple[str, int | None]:
    model = model_of(wanted)
    if wanted == model:
        return model, number
    named = find_version(client, wanted).number
    if number not in (None, named):
        raise SpecError(f"{wanted} and {number} are two versions of {model}; name one")
    return model, named


def _read(client: "MlflowClient", home: Home, model: str) -> tuple[DecisionLog, tuple[Version, ...]]:
    """The log and the versions, with aliases that follow the log, unless a person moved the champion."""
    versions = list_versions(client, model)
    if not versions:
        raise UnknownModelError(
            f"model {model!r} has no versions; a study registers its best one: study run SPEC"
        )
    log = DecisionLog.read(client, home, model)
    is_moved = moved_champion(log.decisions, versions) is not None
    if not is_moved and mend_aliases(client, model, log.decisions, versions):
        versions = list_versions(client, model)
    return log, versions


def _record(
    client: "MlflowClient", log: DecisionLog, decision: Decision, of_evidence: dict[str, Any] | None
) -> None:
    """Appends the decision and sets the aliases, also where somebody decides again meanwhile."""
    while True:
        try:
            log.append(decision, of_evidence)
            break
        except ConflictError:
            # What came before may have been a refusal, after which the evidence still holds.
            if (champions(log.decisions) or (None,))[-1] != decision.champion_before:
                raise
    num_followed = -1
    while num_followed != len(log.decisions):
        num_followed = len(log.decisions)
        mend_aliases(client, log.model, log.decisions, list_versions(client, log.model))
        log.refresh()


def _challenger(model: str, number: int | None, versions: tuple[Version, ...], log: DecisionLog) -> Version:
    if number is not None:
        found = next((version for version in versions if version.number == number), None)
        if found is None:
            listed = ", ".join(str(version.number) for version in versions)
            raise UnknownModelError(f"model {model!r} has no version {number}; it has {listed}")
        return found
    candidate = next((version for version in versions if names.CANDIDATE in version.aliases), None)
    if candidate is None:
        line = champions(log.decisions)
        raise SpecError(
            f"{model} has no candidate: its newest version, {versions[0].number}, was promoted before"
            + (" and is the champion" if line and line[-1] == versions[0].number else "")
            + f"; name a version: study promote {model} VERSION"
        )
    return candidate


def _evidence(
    client: "MlflowClient",
    home: Home,
    challenger: Version,
    champion: int | None,
    versions: tuple[Version, ...],
) -> tuple[Comparison | None, tuple[str, ...], bool]:
    """The evidence for and against the challenger: comparison, sentences, and whether it may be promoted."""
    if champion is None:
        compared = challenger.tags.get(names.COMPARED)
        return (
            None,
            (
                "there was no champion to compare with",
                *(() if compared is None else (f"of its study, {compared}",)),
                _measured(challenger),
            ),
            True,
        )
    before = next((version for version in versions if version.number == champion), None)
    if before is None:
        return (
            None,
            (f"the champion, version {champion}, is gone from MLflow, so there is nothing to compare with",),
            False,
        )
    pair, source = comparable_evidence(client, home, before, challenger)
    if pair is None:
        return None, (source,), False
    rules = PromotionRules.model_validate_json(challenger.tags[names.PROMOTION])
    comparison = compare_evidence(*pair, challenger.tags[names.OBJECTIVE], rules)
    return comparison, (*sentences(comparison), source), not comparison.faults


def _measured(version: Version) -> str:
    accuracy, interval = version.tags[names.TEST_ACCURACY], version.tags[names.TEST_ACCURACY_INTERVAL]
    return f"accuracy {accuracy} ({interval}) on the test split when it was registered"


def _decision(*, user: str | None, evidence: tuple[str, ...], **facts: Any) -> Decision:
    short = tuple(text if len(text) <= MAX_SENTENCE else text[: MAX_SENTENCE - 1] + "…" for text in evidence)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Decision(key=uuid.uuid4().hex, time=now, user=user or current_user(), evidence=short, **facts)


def _check_reason(reason: str | None, *, is_needed: bool) -> None:
    if is_needed and not (reason or "").strip():
        raise SpecError('--force overrules the evidence, and the history keeps the reason: add --reason "…"')
    if reason is not None and len(reason) > MAX_REASON:
        raise SpecError(f"--reason takes at most {MAX_REASON} characters, got {len(reason)}")
