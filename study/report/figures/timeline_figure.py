"""The timeline of devices: which trial ran where, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from study.names import trial_name
from study.number_text import number_text
from study.report.figures.palette import MIN_HEIGHT, framed
from study.report.figures.picture import Picture, Shown, Table, label, value_text
from study.report.figures.trial_states import LOOKS
from study.results.study_result import StudyResult
from study.results.time_spent import TimeSpent
from study.search.record.trial import STAYS, Trial

UNKNOWN = "device not recorded"


@dataclass(frozen=True, kw_only=True)
class Stay:
    """One trial, or a further training, on one device."""

    name: str
    trial: Trial
    device: str
    began: float
    """Seconds since 1970."""
    ended: float


def timeline_picture(result: StudyResult) -> Shown:
    """A bar for each training from its beginning to its end, on its device."""
    stays = sorted(_stays(result), key=lambda stay: (stay.device, stay.began))
    if not stays:
        return "No training has ended yet, so there is no timeline."
    lanes = _lanes(stays)
    names = _names(lanes)
    figure = framed(
        height=max(MIN_HEIGHT, 110 + 30 * len(lanes)), x="time (UTC)", y="", barmode="overlay", bargap=0.25
    )
    for look in LOOKS.values():
        shown = [
            (lane, stay) for lane, row in enumerate(lanes) for stay in row if LOOKS[stay.trial.state] == look
        ]
        if shown:
            figure.add_bar(
                base=[_moment(stay.began) for _, stay in shown],
                x=[max(stay.ended - stay.began, 1e-3) * 1000 for _, stay in shown],
                y=[lane for lane, _ in shown],
                orientation="h",
                name=look.name,
                marker={
                    "color": look.color,
                    "pattern": {"shape": "" if look.name == "complete" else "/", "fillmode": "overlay"},
                    "line": {"color": "#ffffff", "width": 1},
                },
                hovertext=[_text(stay) for _, stay in shown],
                hoverinfo="text",
            )
    figure.update_xaxes(type="date")
    figure.update_yaxes(
        tickvals=list(range(len(lanes))), ticktext=names, range=[len(lanes) - 0.4, -0.6], showgrid=False
    )
    devices = sorted({stay.device for stay in stays})
    begin, end = min(stay.began for stay in stays), max(stay.ended for stay in stays)
    busy = sum(stay.ended - stay.began for stay in stays) / max((end - begin) * len(lanes), 1e-9)
    return Picture(
        figure=figure,
        title="Timeline of devices",
        caption=(
            "Each bar is a training on one device, from its start to its end; pauses at rungs are inside it. "
            f"{len({stay.name for stay in stays})} trainings ran on {len(devices)} "
            f"device{'' if len(devices) == 1 else 's'}, up to {len(lanes)} at a time, from {_clock(begin)} "
            f"to {_clock(end)} (UTC); on average {busy:.0%} of these places for a "
            f"training were taken. {TimeSpent.of(result).sentence}"
        ),
        table=Table(
            caption="Trainings by device",
            columns=("training", "device", "state", "began (UTC)", "minutes", "value"),
            rows=tuple(
                (
                    stay.name,
                    stay.device,
                    LOOKS[stay.trial.state].name,
                    _clock(stay.began),
                    number_text((stay.ended - stay.began) / 60),
                    value_text(stay.trial.value),
                )
                for stay in stays
            ),
        ),
    )


def _stays(result: StudyResult) -> list[Stay]:
    named = [(trial_name(trial.number), trial) for trial in result.trials] + list(result.confirmation.items())
    return [
        stay
        for name, trial in named
        if trial.started is not None and trial.ended is not None and trial.values
        for stay in _stays_of(name, trial, trial.started, trial.ended)
    ]


def _stays_of(name: str, trial: Trial, began: float, ended: float) -> list[Stay]:
    """From place to place; a trial is on its first one from its beginning on."""
    noted = trial.facts.get(STAYS) or [{"place": UNKNOWN, "since": began}]
    starts = [began, *(float(one["since"]) for one in noted[1:])]
    return [
        Stay(name=name, trial=trial, device=str(one["place"]), began=start, ended=end)
        for one, start, end in zip(noted, starts, [*starts[1:], ended], strict=True)
    ]


def _lanes(stays: Sequence[Stay]) -> list[list[Stay]]:
    """Rows in which no two trainings of a device overlap: as many as ran at the same time."""
    lanes: list[list[Stay]] = []
    for stay in stays:
        free = next(
            (row for row in lanes if row[-1].device == stay.device and row[-1].ended <= stay.began + 0.5),
            None,
        )
        if free is None:
            lanes.append([stay])
        else:
            free.append(stay)
    return lanes


def _names(lanes: Sequence[Sequence[Stay]]) -> list[str]:
    names: list[str] = []
    for lane in lanes:
        device = label(lane[0].device)
        num = sum(row[0].device == lane[0].device for row in lanes)
        index = 1 + sum(name.startswith(device) for name in names)
        names.append(f"{device}, slot {index}" if num > 1 else device)
    return names


def _text(stay: Stay) -> str:
    minutes = number_text((stay.ended - stay.began) / 60)
    return (
        f"{stay.name}: {LOOKS[stay.trial.state].name}, {minutes} min on {label(stay.device)}, "
        f"{len(stay.trial.values)} epochs, {value_text(stay.trial.value)}"
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
