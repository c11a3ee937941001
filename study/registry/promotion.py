"""Promotion of a version to champion, rollback, and the history of both."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from study import names
from study.connections.mlflow_client import right_needed
from study.connections.model_registry import has_database, registry_of
from study.errors import ConflictError, MissingFilesError, SpecError, UnknownModelError
from study.evaluation.test_evidence import TestEvidence
from study.home import Home
from study.registry.aliases import lagging_aliases, moved_champion, set_aliases
from study.registry.comparable_evidence import comparable_evidence
from study.registry.comparison import Comparison, compare_evidence
from study.registry.decision_log import DecisionLog
from study.registry.decisions import MAX_REASON, MAX_SENTENCE, Decision, champions, sentences, tables
from study.registry.spent_level import allowance
from study.registry.split_use import SplitUse, compared_on, split_use
from study.registry.subgroup_rule import SubgroupVerdict, judge_subgroups
from study.registry.version_files import fetch, has_files
from study.registry.version_layout import EVIDENCE
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
    use: SplitUse | None = None
    """Of the test images, this decision included; None where nothing was compared."""


@dataclass(frozen=True, kw_only=True)
class History:
    """All decisions on a model, the earliest first."""

    model: str
    decisions: tuple[Decision, ...]
    tables: dict[str, dict[str, Any] | None]
    """Those of each decision, by its key; None where it has none."""
    use: SplitUse
    """Of the test images."""


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
        log, versions = _ready_to_decide(client, home, model)
        challenger = _challenger(model, number, versions, log)
        challenger.check_is_of_a_study()
        line = champions(log.decisions)
        if line and line[-1] == challenger.number:
            raise SpecError(
                f"{challenger.name} is the champion already; see its history: study history {model}"
            )
        champion = line[-1] if line else None
        measured = _measured_pair(client, home, challenger, champion, versions)

        def judge() -> Outcome:
            comparison, evidence, is_fit = _evidence(client, home, challenger, champion, measured, log)
            decision = _decision(
                kind="promoted" if is_fit or force else "refused",
                champion_before=champion,
                version=challenger.number,
                forced=force and not is_fit,
                reason=reason,
                evidence=evidence,
                user=user,
            )
            return Outcome(model=model, decision=decision, comparison=comparison)

        outcome = _record(client, log, judge)
        if outcome.comparison is None:
            return outcome
        return replace(outcome, use=split_use(home, log, versions[0]))


def adopt(home: Home, model: str, *, reason: str | None = None, user: str | None = None) -> Outcome:
    """Takes over the champion that somebody chose in MLflow's own pages, and notes that nobody knows who.

    Raises SpecError where the alias is as the decisions say.
    """
    _check_reason(reason, is_needed=False)
    model = model_of(model)
    with registry_of(home) as client:
        log, versions = _ready_to_decide(client, home, model)
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
        outcome = Outcome(model=model, decision=decision, comparison=None)
        return _record(client, log, lambda: outcome)


def alias_remarks(home: Home, model: str | None = None) -> tuple[str, ...]:
    """A sentence for each model whose aliases are not as its decisions say; nothing is changed."""
    if model is None and not has_database(home):
        return ()
    found = []
    with registry_of(home) as client:
        for name in {version.model for version in list_versions(client, model and model_of(model))}:
            decisions = DecisionLog.read(client, home, name).decisions
            versions = list_versions(client, name)
            moved = moved_champion(decisions, versions)
            if moved is not None:
                line = champions(decisions)
                found.append(_moved_text(f"{name}/{moved}", name, line[-1] if line else None))
            elif lagging := lagging_aliases(decisions, versions):
                found.append(_lagging_text(name, lagging))
    return tuple(found)


def _moved_text(version: str, model: str, by_log: int | None) -> str:
    return (
        f"somebody made {version} the champion in MLflow's own pages; by the decisions it is "
        f"{'none' if by_log is None else f'version {by_log}'}. Take it over: study promote {model} --adopt. "
        "Any other decision puts the alias back"
    )


def _lagging_text(model: str, lagging: Mapping[str, int]) -> str:
    listed = ", ".join(f"{alias} is {model}/{number}" for alias, number in lagging.items())
    return (
        f"by the decisions {listed}, and MLflow's aliases say otherwise: a decision was cut off, or somebody "
        f"moved them. Put them right: study promote {model}, or study rollback {model}"
    )


def rollback(home: Home, model: str, *, reason: str | None = None, user: str | None = None) -> Outcome:
    """Makes the previous champion the champion again.

    Raises SpecError where there is none, ConflictError as `promote`.
    """
    _check_reason(reason, is_needed=False)
    model = model_of(model)
    with registry_of(home) as client:
        log, versions = _ready_to_decide(client, home, model)
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
        outcome = Outcome(model=model, decision=decision, comparison=None)
        return _record(client, log, lambda: outcome)


def history(home: Home, model: str) -> History:
    """All decisions on a model; needs MLflow's database alone, no files."""
    model = model_of(model)
    with registry_of(home) as client:
        log, versions = _read(client, home, model)
        return History(
            model=model,
            decisions=log.decisions,
            tables={one.key: log.tables(one) for one in log.decisions},
            use=split_use(home, log, versions[0]),
        )


def split_uses(home: Home, model: str | None) -> tuple[SplitUse, ...]:
    """How far the test images of a model, or of all models that have a champion, are used up."""
    if model is None and not has_database(home):
        return ()
    model = None if model is None else model_of(model)
    found = []
    with registry_of(home) as client:
        for name in sorted({version.model for version in list_versions(client, model)}):
            log, versions = _read(client, home, name)
            if champions(log.decisions):
                found.append(split_use(home, log, versions[0]))
    return tuple(found)


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
    """The log and the versions; changes nothing, so that it needs no right to."""
    versions = list_versions(client, model)
    if not versions:
        raise UnknownModelError(
            f"model {model!r} has no versions; a study registers its best one: study run SPEC"
        )
    return DecisionLog.read(client, home, model), versions


def _ready_to_decide(
    client: "MlflowClient", home: Home, model: str
) -> tuple[DecisionLog, tuple[Version, ...]]:
    """The log and the versions, with aliases that follow the log, unless a person moved the champion.

    Raises TrackingError for an account that may not move the model's aliases, before anything is decided.
    """
    log, versions = _read(client, home, model)
    with right_needed(client.tracking_uri, f"EDIT on the registered model {model!r}"):
        if moved_champion(log.decisions, versions) is None:
            set_aliases(client, model, log.decisions, versions)
        # Where all aliases are right this one shows whether the account may set them.
        client.set_registered_model_alias(model, names.CANDIDATE, str(max(one.number for one in versions)))
    return log, list_versions(client, model)


def _record(client: "MlflowClient", log: DecisionLog, judge: Callable[[], Outcome]) -> Outcome:
    """Appends the decision that `judge` comes to by the log, and sets the aliases, also where somebody
    decides again meanwhile.
    """
    while True:
        outcome = judge()
        decision, comparison = outcome.decision, outcome.comparison
        try:
            with right_needed(
                client.tracking_uri, f"EDIT on the experiment {names.experiment_name(log.model)!r}"
            ):
                log.append(decision, None if comparison is None else tables(comparison))
            break
        except ConflictError:
            # What came before may have been a refusal, after which it is judged again: it was a comparison.
            if (champions(log.decisions) or (None,))[-1] != decision.champion_before:
                raise
    num_followed = -1
    while num_followed != len(log.decisions):
        num_followed = len(log.decisions)
        set_aliases(client, log.model, log.decisions, list_versions(client, log.model))
        log.refresh()
    return outcome


def _challenger(model: str, number: int | None, versions: tuple[Version, ...], log: DecisionLog) -> Version:
    if number is not None:
        found = next((version for version in versions if version.number == number), None)
        if found is None:
            listed = ", ".join(str(version.number) for version in versions)
            raise UnknownModelError(f"model {model!r} has no version {number}; it has {listed}")
        return found
    newest = versions[0]
    if newest.number in {decision.version for decision in log.decisions if decision.kind != "refused"}:
        line = champions(log.decisions)
        raise SpecError(
            f"{model} has no candidate: its newest version, {newest.number}, was promoted before"
            + (" and is the champion" if line and line[-1] == newest.number else "")
            + f"; name a version: study promote {model} VERSION"
        )
    return newest


_Pair = tuple[tuple[TestEvidence, TestEvidence] | None, str]
"""Champion and challenger on the same images, or None, and a sentence on the source or the reason."""


def _measured_pair(
    client: "MlflowClient",
    home: Home,
    challenger: Version,
    champion: int | None,
    versions: tuple[Version, ...],
) -> _Pair:
    if champion is None:
        return None, "there was no champion to compare with"
    before = next((version for version in versions if version.number == champion), None)
    if before is None:
        gone = f"the champion, version {champion}, is gone from MLflow, so there is nothing to compare with"
        return None, gone
    return comparable_evidence(client, home, before, challenger)


def _evidence(
    client: "MlflowClient",
    home: Home,
    challenger: Version,
    champion: int | None,
    measured: _Pair,
    log: DecisionLog,
) -> tuple[Comparison | None, tuple[str, ...], bool]:
    """The evidence for and against the challenger: comparison, sentences, and whether it may be promoted."""
    rules = PromotionRules.model_validate_json(challenger.tags[names.PROMOTION])
    pair, source = measured
    if champion is None:
        compared = challenger.tags.get(names.COMPARED)
        verdict = _of_subgroups(client, home, challenger, rules)
        return (
            None,
            (
                source,
                *(() if compared is None else (f"of its study, {compared}",)),
                _measured(challenger),
                *verdict.remarks,
                *verdict.faults,
            ),
            not verdict.faults,
        )
    if pair is None:
        return None, (source,), False
    earlier = compared_on(log, pair[0].dataset_digest)
    may_spend = allowance(earlier, champion, challenger.number)
    comparison = compare_evidence(*pair, challenger.tags[names.OBJECTIVE], rules, may_spend)
    verdict = judge_subgroups(home, pair[1], rules)
    comparison = replace(
        comparison,
        faults=(*comparison.faults, *verdict.faults),
        remarks=(*comparison.remarks, *verdict.remarks),
    )
    return comparison, (*sentences(comparison), source), not comparison.faults


def _of_subgroups(
    client: "MlflowClient", home: Home, version: Version, rules: PromotionRules
) -> SubgroupVerdict:
    if rules.max_subgroup_gap is None:
        return SubgroupVerdict()
    try:
        evidence = TestEvidence.read(fetch(client, home, version, EVIDENCE))
    except MissingFilesError as error:
        return SubgroupVerdict(faults=(f"subgroups cannot be compared (max_subgroup_gap): {error}",))
    return judge_subgroups(home, evidence, rules)


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
