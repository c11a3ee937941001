"""What `study replay` prints."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from study.cli.reports.terminal import Column, console, print_table
from study.names import trial_name
from study.results.replay import Replay, Winner
from study.safe_console import literal
from study.stopping.early_stopping import EarlyStopping

MAX_ROWS = 30


def print_replay(replay: Replay, *, as_json: bool = False) -> None:
    """What the rule saves, which trials it stops, and whether the winner is lost."""
    if as_json:
        print(json.dumps(replay_dict(replay), indent=2))
        return
    out = console()
    slots = "one trial at a time" if replay.slots == 1 else f"{replay.slots} trials at a time"
    out.print(f"\n[bold]{replay.study}[/] replayed under {rule_text(replay.early_stopping)}, {slots}\n")
    share = replay.epochs_saved / max(replay.epochs_recorded, 1)
    out.print(
        f"epochs    {replay.epochs_spent:,} of {replay.epochs_recorded:,} recorded: {replay.epochs_saved:,} "
        f"saved ({share:.0%})"
    )
    out.print(
        f"time      {replay.seconds_spent:,.0f} s of {replay.seconds_recorded:,.0f} s of training and "
        "validating"
    )
    out.print(f"stopped   {len(replay.stopped)} of {replay.num_trials} trials")
    _print_winner(out, replay)
    if replay.stopped:
        out.print()
        out.print(_stopped(replay))
    if replay.num_cut_short:
        out.print(
            f"\n[dim]{replay.num_cut_short} trials would have gone on where their recorded curves end; "
            "their values and costs after that are not known[/]"
        )


def print_replays(replays: Sequence[Replay], *, as_json: bool = False) -> None:
    """One line for each rule, and what an early-stopping rule would have done to the winner."""
    if as_json:
        print(json.dumps([replay_dict(replay) for replay in replays], indent=2))
        return
    out, first = console(), replays[0]
    out.print(f"\n[bold]{first.study}[/] replayed under each rule that can be replayed\n")
    shares = [replay.epochs_spent / max(replay.epochs_recorded, 1) for replay in replays]
    columns = [
        Column("rule", [replay.early_stopping.rule for replay in replays]),
        Column(
            "epochs",
            [f"{one.epochs_spent:,} ({share:.0%})" for one, share in zip(replays, shares, strict=True)],
        ),
        Column("seconds", [f"{replay.seconds_spent:,.0f}" for replay in replays], rank=2),
        Column("stopped", [f"{len(replay.stopped)} of {replay.num_trials}" for replay in replays], rank=1),
        Column("winner", [_verdict(replay) for replay in replays]),
    ]
    print_table(out, columns)
    out.print(f"\nNext: study replay {first.study} --early-stopping RULE shows which trials a rule stops")


def _verdict(replay: Replay) -> str:
    if replay.recorded_winner is None:
        return "none was recorded"
    if not replay.is_winner_lost:
        return "kept"
    return "lost" if replay.regret is None else f"lost, {replay.regret:.4f} worse"


def replay_dict(replay: Replay) -> dict[str, object]:
    """Plain values for JSON."""
    return {
        **asdict(replay),
        "early_stopping": replay.early_stopping.model_dump(),
        "epochs_saved": replay.epochs_saved,
        "is_winner_lost": replay.is_winner_lost,
        "regret": replay.regret,
    }


def rule_text(rule: EarlyStopping) -> str:
    """A rule and the settings that it reads, in words."""
    settings = {
        "none": [],
        "median": [f"grace {rule.first_rung:.0%}", f"at least {rule.min_trials} others"],
    }.get(rule.rule, [f"first rung {rule.first_rung:.0%}", f"reduction {rule.reduction}"])
    if rule.rule == "hyperband" and rule.brackets is not None:
        settings.append(f"{rule.brackets} brackets")
    if rule.rule != "none" and rule.protect_top:
        settings.append(f"top {rule.protect_top} protected")
    if rule.plateau is not None:
        settings.append(f"plateau of {rule.plateau} epochs")
    return rule.rule + (f" ({', '.join(settings)})" if settings else "")


def _print_winner(out: Console, replay: Replay) -> None:
    recorded, winner = replay.recorded_winner, replay.winner
    if recorded is None:
        out.print("winner    none was recorded")
    elif not replay.is_winner_lost:
        out.print(f"winner    {_winner_text(replay, recorded)}: [green]kept[/]")
    else:
        out.print(f"winner    {_winner_text(replay, recorded)}: [red]lost[/]")
        if winner is not None:
            out.print(
                f"  instead {_winner_text(replay, winner)}, place {winner.rank} by what was recorded: "
                f"{replay.regret:.4f} worse"
            )


def _winner_text(replay: Replay, winner: Winner) -> str:
    return f"{trial_name(winner.trial)}, {replay.metric} {winner.value:.4f}"


def _stopped(replay: Replay) -> Table:
    table = Table("stopped", "after epoch", replay.metric, "later better by", "why", box=None, pad_edge=False)
    for stopped in replay.stopped[:MAX_ROWS]:
        table.add_row(
            trial_name(stopped.trial),
            f"{stopped.epoch}/{stopped.num_recorded}",
            "" if stopped.value is None else f"{stopped.value:.4f}",
            f"{stopped.lost:.4f}" if stopped.lost else "",
            literal(stopped.reason),
        )
    if len(replay.stopped) > MAX_ROWS:
        table.caption = f"… and {len(replay.stopped) - MAX_ROWS} more (--json shows all)"
    return table
