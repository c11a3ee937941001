"""The view of a running study: lines of text that fill a terminal, and stay where they are."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from search_spaces.dimensions import Value
from study.live.durations import clock, moment
from study.live.paces import Devices
from study.live.state import LiveState, RunningTrial
from study.number_text import number_text
from trainables.printable import printable

LABEL = 9
"""Characters of a line's label."""
NUM_POINT_LINES = 2
FEWEST_EVENTS = 3
"""Lines for what happened last, before running trials take them."""
NARROWEST = 40
_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.,-=+*#"
_STATE_STYLES = {
    "running": "cyan",
    "stopping": "yellow",
    "failed": "red",
    "interrupted": "yellow",
    "finished": "green",
}
_EVENT_STYLES = {
    "best": "bold green",
    "complete": "green",
    "stopped": "yellow",
    "paused": "blue",
    "promoted": "cyan",
    "retried": "magenta",
    "failed": "red",
    "said": "dim",
}
_WORDS = {
    "complete": "complete",
    "pruned": "stopped early",
    "killed": "killed",
    "failed": "failed",
    "infeasible": "infeasible",
    "running": "running",
    "paused": "paused",
    "to come": "to come",
}
"""States in the order in which they are counted, with the words for them."""


class View:
    """Draws one state after another.

    It remembers how many trials ran at once, so that lines do not jump where one ends before the next begins.
    """

    def __init__(self, *, is_ascii: bool = False) -> None:
        """`is_ascii` is for a terminal that has no block characters."""
        self._blocks = _ASCII_BLOCKS if is_ascii else _BLOCKS
        self._bar = "#-" if is_ascii else "━─"
        self._most_running = 1

    def lines(
        self, state: LiveState, width: int, height: int | None, notes: Sequence[Text] = ()
    ) -> list[Text]:
        """The view as lines of at most `width` characters, at most `height` of them, the `notes` last.

        With a height of None there are as many lines as the state has.
        """
        width = max(width, NARROWEST)
        head = [*self._head(state, width), *self._best(state, width)]
        room = None if height is None else height - len(head) - len(notes)
        self._most_running = max(self._most_running, len(state.running))
        running = self._running(state, width, room)
        if room is not None:
            room -= len(running)
        lines = [*head, *running, *_events(state, width, room)]
        if height is not None:
            lines = lines[: height - len(notes)]
            lines += [Text()] * (height - len(notes) - len(lines))
        return [_fitted(line, width) for line in (*lines, *notes)]

    def _head(self, state: LiveState, width: int) -> list[Text]:
        ended = f"{state.num_ended} of {state.num_trials} ended"
        bar = self._progress(state.share_done, max(width - LABEL - len(ended) - 2, 8), "cyan")
        return [
            _title(state),
            _labelled("time", Text(_time_text(state))),
            _labelled("trials", bar + Text(f"  {ended}")),
            _labelled("", Text(_counts_text(state.counts))),
            _labelled("budget", Text(_budget_text(state))),
            _labelled("devices", Text(_devices_text(state.devices, len(state.running)))),
            Text(),
        ]

    def _best(self, state: LiveState, width: int) -> list[Text]:
        best = state.best
        if best is None:
            first = _labelled("best", Text(f"no {state.metric} yet", style="dim"))
            return [first, *[Text()] * (NUM_POINT_LINES + 2)]
        score = Text.assemble(
            (f"{state.metric} {best.value:.4f}", "bold green"),
            f"  {printable(best.name)} at epoch {best.epoch}, {_word(best.state)}",
        )
        point = _wrapped(_point_parts(best.point), width - LABEL, NUM_POINT_LINES)
        return [
            _labelled("best", score),
            _labelled("", self._curve(state.curve, width - LABEL)),
            *(_labelled("", Text(line)) for line in point),
            *[Text()] * (NUM_POINT_LINES - len(point) + 1),
        ]

    def _curve(self, values: Sequence[float], width: int) -> Text:
        if len(values) < 2:
            return Text()
        ends = f"  from {values[0]:.4f}"
        width = max(min(width - len(ends), 60), 8)
        step = max((len(values) - 1) / (width - 1), 1.0)
        shown = [values[round(index * step)] for index in range(min(width, len(values)))]
        low, high = min(values), max(values)
        span = (high - low) or 1.0
        top = len(self._blocks) - 1
        blocks = "".join(self._blocks[round((value - low) / span * top)] for value in shown)
        return Text.assemble((blocks, "green"), (ends, "dim"))

    def _running(self, state: LiveState, width: int, room: int | None) -> list[Text]:
        if not state.is_driven:
            return []
        trials = state.running
        most = max(self._most_running, len(trials))
        if room is not None:
            most = max(min(most, room - FEWEST_EVENTS - 3), 1)
        name_width = max([cell_len(trial.name) for trial in trials] + [len("trial-0000")])
        epochs = max([len(f"{trial.num_epochs}") for trial in trials] + [2])
        score_width = max(len(state.metric), 7)
        fixed = name_width + 2 + (2 * epochs + 1) + 6 + 2 + score_width + 2 + 8 + 2 + 6
        bar = max(min(width - fixed, 40), 0)
        title = (
            f"{'running':<{name_width}}  {'epoch':<{2 * epochs + 7 + bar}}  {state.metric:>{score_width}}  "
            f"{'images/s':>8}  {'left':>6}"
        )
        shown = trials[:most] if len(trials) <= most else trials[: max(most - 1, 1)]
        rows = [self._row(trial, name_width, epochs, bar, score_width) for trial in shown]
        if len(trials) > len(shown):
            rows.append(Text(f"and {len(trials) - len(shown)} more", style="dim"))
        return [Text(title, style="dim"), *rows, *[Text()] * (most - len(rows)), Text()]

    def _row(self, trial: RunningTrial, name_width: int, epochs: int, bar: int, score_width: int) -> Text:
        under_way = min(trial.epoch + 1, trial.num_epochs)
        done = f"{under_way:>{epochs}}/{trial.num_epochs:<{epochs}} {trial.share:>4.0%} "
        share = min((trial.epoch + trial.share) / trial.num_epochs, 1.0)
        score = "" if trial.value is None else f"{trial.value:.4f}"
        rate = "" if trial.images_per_second is None else f"{trial.images_per_second:,.0f}"
        left = "" if trial.seconds_left is None else clock(trial.seconds_left)
        return Text.assemble(
            set_cell_size(printable(trial.name), name_width),
            f"  {done}",
            self._progress(share, bar, "cyan"),
            f"  {score:>{score_width}}  {rate:>8}  {left:>6}",
        )

    def _progress(self, share: float, width: int, style: str) -> Text:
        full = min(int(share * width), width)
        return Text.assemble((self._bar[0] * full, style), (self._bar[1] * (width - full), "dim"))


def event_line(kind: str, text: str, at: float, now: float) -> Text:
    """One event on a line."""
    return Text.assemble(
        (f"{moment(at, now)}  ", "dim"), (printable(text), _EVENT_STYLES.get(kind, "")), no_wrap=True
    )


def summary(state: LiveState) -> str:
    """The state on one line, for a terminal that is none."""
    best = state.best
    parts = [
        f"{state.num_ended} of {state.num_trials} trials ended",
        "" if best is None else f"best {state.metric} {best.value:.4f} ({best.name})",
        _left_text(state),
    ]
    text = f"{state.study}: {state.does or state.state}, " + ", ".join(part for part in parts if part)
    return printable(text)


def ended_line(state: LiveState) -> str:
    """How a study ended, and where to go on."""
    name = printable(state.study)
    if state.state == "finished":
        return f"{name} has finished. Next: study show {name}"
    why = f" ({printable(state.failure)})" if state.failure else ""
    return f"{name} is {state.state}{why}; nobody drives it. Go on with: study resume {name}"


def _title(state: LiveState) -> Text:
    style = _STATE_STYLES.get(state.state, "cyan" if state.is_driven else "yellow")
    does = printable(state.does or state.state)
    failure = f": {printable(state.failure)}" if state.failure and not state.is_driven else ""
    return Text.assemble(
        (printable(state.study), "bold"), f" on {printable(state.dataset)}: ", (f"{does}{failure}", style)
    )


def _time_text(state: LiveState) -> str:
    return ", ".join(part for part in (f"{clock(state.seconds)} so far", _left_text(state)) if part)


def _left_text(state: LiveState) -> str:
    if not state.is_driven or state.state == "stopping":
        return ""
    if state.seconds_left is None:
        return "no estimate yet"
    end = moment(state.time + state.seconds_left, state.time)
    return f"about {_rounded(state.seconds_left)} more, until about {end}"


def _rounded(seconds: float) -> str:
    """An estimate has no seconds where it is minutes: the digits would jump and mean nothing."""
    if seconds < 60:
        return f"{max(round(seconds / 10) * 10, 10)}s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[state]} {word}" for state, word in _WORDS.items() if counts.get(state))


def _word(state: str) -> str:
    return _WORDS.get(state, state)


def _budget_text(state: LiveState) -> str:
    parts = [f"{_amount(limit.spent)} of {_amount(limit.most)} {limit.what}" for limit in state.limits]
    return ", ".join([f"{state.num_trials} trials", *parts])


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def _devices_text(devices: Devices | None, num_running: int) -> str:
    if devices is None:
        return "not known yet"
    kinds = " and ".join(f"{num:g} {kind}" for kind, num in devices.gpus_by_kind.items())
    if devices.num_gpus and devices.gpus_per_trial:
        kind = f" ({kinds})" if kinds else ""
        busy = num_running * devices.gpus_per_trial
        each = f"{number_text(devices.gpus_per_trial)} for each trial"
        return f"{busy:g} of {devices.num_gpus:g} GPUs busy{kind}, {each}"
    busy = num_running * devices.cpus_per_trial
    return f"{busy:g} of {devices.num_cpus:g} CPU cores busy, {devices.cpus_per_trial:g} for each trial"


def _point_parts(point: Mapping[str, Value]) -> list[str]:
    return [f"{printable(name)} {printable(number_text(value))}" for name, value in point.items()]


def _wrapped(parts: Sequence[str], width: int, most: int) -> list[str]:
    """The parts, separated by commas, on at most so many lines; those that do not fit are counted."""
    for num in range(len(parts), 0, -1):
        more = [] if num == len(parts) else [f"and {len(parts) - num} more"]
        pieces = [*(f"{part}," for part in parts[: num - 1]), parts[num - 1], *more]
        lines = [""]
        for piece in pieces:
            if cell_len(f"{lines[-1]} {piece}") > width and lines[-1]:
                lines.append("")
            lines[-1] = f"{lines[-1]} {piece}".lstrip()
        if len(lines) <= most:
            return lines
    return [f"{len(parts)} dimensions"] if parts else []


def _events(state: LiveState, width: int, room: int | None) -> list[Text]:
    shown = state.events if room is None else state.events[-room:] if room > 0 else ()
    return [event_line(event.kind, event.text, event.time, state.time) for event in shown]


def _labelled(label: str, text: Text) -> Text:
    return Text.assemble((f"{label:<{LABEL}}", "dim"), text)


def _fitted(line: Text, width: int) -> Text:
    if line.cell_len > width:
        line = line.copy()
        line.truncate(width, overflow="ellipsis")
    return line
