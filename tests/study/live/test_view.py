"""The view of a study in a terminal: it fits, it stays where it is, and names are shown, not obeyed."""

from dataclasses import replace

import pytest
from rich.text import Text

from study.live.events import Event
from study.live.paces import Devices
from study.live.state import BestTrial, Limit, LiveState, RunningTrial
from study.live.view import View, ended_line, summary

NOW = 1_790_000_000.0


def trial(number: int, epoch: int = 3, share: float = 0.5) -> RunningTrial:
    return RunningTrial(
        name=f"trial-{number:04d}",
        epoch=epoch,
        num_epochs=10,
        share=share,
        value=0.3122,
        images_per_second=612.4,
        seconds_left=250.0,
        device="cpu, 1 thread",
    )


STATE = LiveState(
    study="faces",
    dataset="fer2013",
    user="ada",
    state="running",
    does="searching",
    failure=None,
    time=NOW,
    metric="macro_f1",
    maximise=True,
    best=BestTrial(
        name="trial-0003",
        state="complete",
        value=0.3767,
        epoch=4,
        point={f"dimension_{number}": 0.001 * number for number in range(12)},
    ),
    running=(trial(12), trial(13, epoch=0, share=0.2)),
    counts={"complete": 8, "pruned": 3, "failed": 1, "running": 2, "to come": 26},
    num_ended=12,
    num_trials=40,
    share_done=0.31,
    devices=Devices(num_cpus=2, cpus_per_trial=1),
    limits=(Limit(what="hours", spent=0.21, most=6),),
    seconds=727.0,
    seconds_left=2460.0,
    curve=(0.1193, 0.2937, 0.2937, 0.33, 0.3767),
    events=tuple(
        Event(kind="stopped", text=f"trial-{number:04d} stopped at rung 1: place 4", time=NOW - 60 + number)
        for number in range(30)
    ),
)


def plain(lines: list[Text]) -> list[str]:
    return [line.plain.rstrip() for line in lines]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50), (60, 12), (20, 4), (79, 24)])
def test_it_fits_the_terminal(width: int, height: int) -> None:
    lines = View().lines(STATE, width, height, [Text("Ctrl-C ends this view alone.")])
    assert len(lines) == height
    assert max(line.cell_len for line in lines) <= max(width, 40)
    assert lines[-1].plain == "Ctrl-C ends this view alone."


def test_a_person_finds_all_that_they_look_for() -> None:
    shown = plain(View().lines(STATE, 79, 30))
    for text in (
        "faces on fer2013: searching",
        "12m07s so far, about 41 min more, until about ",
        "12 of 40 ended",
        "8 complete, 3 stopped early, 1 failed, 2 running, 26 to come",
        "40 trials, 0.2 of 6 hours",
        "2 of 2 CPU cores busy, 1 for each trial",
        "macro_f1 0.3767  trial-0003 at epoch 4, complete",
        "▁▆▆▇█  from 0.1193",
        "dimension_1 0.001",
        " more",
        "images/s",
        "trial-0029 stopped at rung 1: place 4",
    ):
        assert any(text in line for line in shown), (text, shown)
    (row,) = [line for line in shown if line.startswith("trial-0013")]
    assert row.split()[1:3] == ["1/10", "20%"], "a fifth of the first epoch"
    assert row.split()[-3:] == ["0.3122", "612", "4m10s"]


def test_nothing_jumps_while_trials_end_and_begin() -> None:
    view = View()
    ages = [
        replace(STATE, best=None, curve=(), running=()),
        STATE,
        replace(STATE, running=STATE.running[:1], seconds_left=None),
        replace(STATE, running=(), devices=None, counts={"complete": 40}),
        replace(STATE, running=(trial(9999), replace(trial(3), value=None, images_per_second=None))),
    ]
    pictures = [plain(view.lines(state, 79, 24)) for state in ages]
    for label in ("trials", "budget", "devices", "best", "running"):
        rows = {row_of(picture, label) for picture in pictures}
        assert len(rows) == 1, (label, rows)
    after = {next(i for i, line in enumerate(one) if "stopped at rung" in line) for one in pictures[1:]}
    assert len(after) == 1, "what happened last begins on the same line"
    assert len({picture[row_of(picture, "running")] for picture in pictures}) == 1


def row_of(picture: list[str], label: str) -> int:
    return next(row for row, line in enumerate(picture) if line.startswith(label))


def test_many_running_trials_leave_room_for_what_happened() -> None:
    state = replace(STATE, running=tuple(map(trial, range(64))))
    shown = plain(View().lines(state, 79, 24))
    assert sum(line.startswith("trial-") for line in shown) >= 3
    assert any(line.startswith("and ") and line.endswith(" more") for line in shown)
    assert sum("stopped at rung" in line for line in shown) >= 3


def test_escapes_in_names_are_shown() -> None:
    evil = "\x1b[2J\x1b]0;own\x07[bold]"
    state = replace(
        STATE,
        study=evil,
        dataset=evil,
        running=(replace(trial(1), name=evil),),
        events=(Event(kind="said", text=f"measuring {evil}\n", time=NOW),),
        best=replace(STATE.best, name=evil, point={evil: evil}) if STATE.best else None,
        state="failed",
        does="",
        failure=evil,
    )
    shown = "\n".join(plain(View().lines(state, 200, None)))
    assert not set("\x1b\x07") & set(shown)
    assert "\\x1b[2J" in shown
    assert "[bold]" in shown
    assert not set("\x1b\x07") & set(summary(state) + ended_line(state))


def test_a_terminal_without_block_characters_gets_others() -> None:
    shown = "".join(plain(View(is_ascii=True).lines(STATE, 79, 30)))
    assert shown.isascii()
    assert "_++*#  from 0.1193" in shown


def test_a_metric_of_which_less_is_better_falls() -> None:
    state = replace(STATE, metric="log_loss", maximise=False, curve=(1.5, 1.0, 0.5))
    assert any("█▅▁  from 1.5000" in line for line in plain(View().lines(state, 79, 30)))
