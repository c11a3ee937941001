"""What the commands on registered models print: tables for a person, or JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from study import names
from study.cli.reports.terminal import console
from study.registry.comparison import ClassChange, Comparison
from study.registry.decisions import Decision, tables
from study.registry.promotion import History, Outcome
from study.registry.split_use import SplitUse
from study.registry.versions import Version
from study.safe_console import literal

MAX_CLASSES = 12
"""Beyond so many, those whose recall changed the most are shown."""


def print_versions(
    listed: Sequence[tuple[Version, bool]], uses: Sequence[SplitUse] = (), *, as_json: bool = False
) -> None:
    """One line for each version; with each comes whether its files are at hand. Then, for each champion, how
    far its test images are used up.
    """
    if as_json:
        by_model = {use.model: use for use in uses}
        trees = [_version_tree(version, has_files, by_model) for version, has_files in listed]
        print(json.dumps(trees, indent=2))
        return
    versions = [version for version, _ in listed]
    out = console()
    if not versions:
        out.print("no models yet; a study registers its best one: study run SPEC")
        return
    table = Table(
        "model",
        "",
        "made of",
        "study",
        "test accuracy (95 % interval)",
        "dataset",
        "registered",
        box=None,
        pad_edge=False,
    )
    for version in versions:
        tags = version.tags
        accuracy = f"{tags.get(names.TEST_ACCURACY, '')} ({tags.get(names.TEST_ACCURACY_INTERVAL, '')})"
        folds = f", {tags[names.FOLDS]} folds" if names.FOLDS in tags else ""
        made_of = tags.get(names.MADE_OF, "") + folds
        digest, when = tags.get(names.DATASET_DIGEST, "")[:12], _when(version.registered)
        table.add_row(
            f"[bold]{version.name}[/]",
            _aliases(version),
            made_of,
            tags.get(names.STUDY, ""),
            accuracy,
            digest,
            when,
        )
    out.print(table)
    for use in uses:
        out.print()
        _print_use(out, use)
    if lost := [version.name for version, has_files in listed if not has_files]:
        out.print(
            f"\n[yellow]The files of {', '.join(lost)} are not at hand.[/] If STUDY_HOME was moved, bring "
            "its folder artifacts/ along."
        )
    first = versions[0].model
    promote = next(
        (
            f"study promote {one.model}   "
            for one in versions
            if names.CANDIDATE in one.aliases and names.CHAMPION not in one.aliases
        ),
        "",
    )
    out.print(f"\nNext: {promote}study predict {first} IMAGE   study history {first}")


def print_outcome(outcome: Outcome, *, as_json: bool = False) -> None:
    """What was decided, and on which evidence."""
    decision, comparison = outcome.decision, outcome.comparison
    if as_json:
        print(
            json.dumps(
                {
                    "model": outcome.model,
                    **_decision_tree(decision, None if comparison is None else tables(comparison)),
                    "test_split": None if outcome.use is None else asdict(outcome.use),
                },
                indent=2,
            )
        )
        return
    out = console()
    if comparison is not None:
        _print_comparison(out, outcome.model, decision, comparison)
        out.print()
    if comparison is None or decision.kind == "refused":
        for sentence in comparison.faults if comparison is not None else decision.evidence:
            out.print(f"  {literal(sentence)}", soft_wrap=True)
    out.print(_outcome(outcome.model, decision), soft_wrap=True)
    if outcome.use is not None:
        out.print()
        _print_use(out, outcome.use)


def print_history(history: History, *, as_json: bool = False) -> None:
    """All decisions, the earliest first."""
    if as_json:
        trees = [_decision_tree(decision, history.tables.get(decision.key)) for decision in history.decisions]
        tree = {"model": history.model, "decisions": trees, "test_split": asdict(history.use)}
        print(json.dumps(tree, indent=2))
        return
    out = console()
    if not history.decisions:
        out.print(
            f"nothing was decided on {history.model} yet; the first decision: study promote {history.model}"
        )
        return
    for number, decision in enumerate(history.decisions, start=1):
        out.print(
            f"[bold]{number}  {_when(decision.time)}  {literal(decision.user)}  "
            f"{_history_text(history.model, decision)}[/]",
            soft_wrap=True,
        )
        for sentence in (*((f"reason: {decision.reason}",) if decision.reason else ()), *decision.evidence):
            out.print(f"   {sentence}", soft_wrap=True, markup=False)
    out.print()
    _print_use(out, history.use)


def _print_use(out: Console, use: SplitUse) -> None:
    for sentence in use.sentences():
        out.print(f"[dim]{literal(sentence)}[/]")


def _print_comparison(out: Console, model: str, decision: Decision, comparison: Comparison) -> None:
    champion, challenger = (
        f"{model}/{decision.champion_before}, champion",
        f"{model}/{decision.version}, challenger",
    )
    of_groups = "" if comparison.num_groups is None else f" ({comparison.num_groups:,} groups)"
    out.print(
        f"[bold]{challenger}[/] against [bold]{champion}[/], on {comparison.num_images:,} images{of_groups} "
        "of the test split\n"
    )
    table = Table("", champion, challenger, "change", box=None, pad_edge=False)
    for name, (before, after) in comparison.metrics.items():
        shown = name.replace("_", " ")
        row = (
            f"[bold]{shown}[/]" if name == comparison.metric else shown,
            f"{before:.4f}",
            f"{after:.4f}",
            f"{after - before:+.4f}",
        )
        table.add_row(*row)
    before, after = comparison.latencies_ms
    table.add_row("one image", f"{before:.2f} ms", f"{after:.2f} ms", f"{after - before:+.2f} ms")
    table.add_row("[dim]recall by class[/]")
    for one in _most_changed(comparison):
        table.add_row(
            f"  {literal(one.name)} ({one.num_images:,})",
            _share(one.champion),
            _share(one.challenger),
            _points(one),
        )
    out.print(table)
    if len(comparison.classes) > MAX_CLASSES:
        out.print(
            f"[dim]the {MAX_CLASSES} of {len(comparison.classes):,} classes that changed the most (--json "
            "shows all)[/]"
        )
    out.print()
    for sentence in (*decision.evidence[1 : 3 if comparison.number is None else 4], *comparison.remarks):
        out.print(literal(sentence), soft_wrap=True)
    out.print(f"[dim]{literal(decision.evidence[-1])}[/]", soft_wrap=True)


def _most_changed(comparison: Comparison) -> list[ClassChange]:
    if len(comparison.classes) <= MAX_CLASSES:
        return list(comparison.classes)
    return sorted(comparison.classes, key=lambda one: -abs(one.points_lost))[:MAX_CLASSES]


def _outcome(model: str, decision: Decision) -> str:
    if decision.kind == "refused":
        champion = (
            "there is none" if decision.champion_before is None else f"{model}/{decision.champion_before}"
        )
        return (
            f"[red]{model}/{decision.version} is not promoted[/]; champion as before: {champion}. The rules "
            "are those of its study file "
            f'(promotion).\nTo overrule them: study promote {model} {decision.version} --force --reason "…"'
        )
    before = "" if decision.champion_before is None else f", in place of {model}/{decision.champion_before}"
    forced = " [yellow](forced)[/]" if decision.forced else ""
    back = "is champion again" if decision.kind == "rolled back" else "is champion now"
    way_back = (
        ""
        if decision.kind == "rolled back" or decision.champion_before is None
        else f"   study rollback {model}"
    )
    return (
        f"[green]{model}/{decision.version} {back}[/]{forced}{before}\nNext: study predict {model} IMAGE   "
        f"study history {model}{way_back}"
    )


def _history_text(model: str, decision: Decision) -> str:
    place = "" if decision.champion_before is None else f" in place of {model}/{decision.champion_before}"
    match decision.kind:
        case "promoted":
            return f"promoted {model}/{decision.version}{place}" + (", forced" if decision.forced else "")
        case "adopted":
            return f"took over {model}/{decision.version}{place}, as somebody had chosen it in MLflow's pages"
        case "rolled back":
            return f"went back to {model}/{decision.version} from {model}/{decision.champion_before}"
        case "refused":
            return f"{model}/{decision.version} was refused{place}"


def _aliases(version: Version) -> str:
    colours = {names.CHAMPION: "green", names.CANDIDATE: "yellow"}
    is_champion = names.CHAMPION in version.aliases
    # The newest version stays the candidate once it is champion, which would tell a person nothing.
    shown = [alias for alias in version.aliases if alias != names.CANDIDATE or not is_champion]
    return " ".join(f"[{colours.get(alias, 'dim')}]{alias}[/]" for alias in shown)


def _when(time: str) -> str:
    return f"{time[:19].replace('T', ' ')} UTC"


def _points(one: ClassChange) -> str:
    return f"{-one.points_lost:+.1f} points" if one.points_lost else ""


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _version_tree(version: Version, has_files: bool, uses: Mapping[str, SplitUse]) -> dict[str, object]:
    use = uses.get(version.model)
    is_champion = use is not None and use.champion == version.number
    return {
        **asdict(version),
        "name": version.name,
        "tags": dict(version.tags),
        "has_files": has_files,
        **({"test_split": asdict(use)} if use is not None and is_champion else {}),
    }


def _decision_tree(decision: Decision, of_evidence: Mapping[str, object] | None) -> dict[str, object]:
    return {**asdict(decision), "champion_after": decision.champion_after, "tables": of_evidence}
