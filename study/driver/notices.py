"""Notices: what a person is told of a study where they do not watch it, by a webhook, a mail or a command.

Where they go may be a secret: it stays in the environment, and no record, log or message shows more of it
than the host. No trial waits for a notice.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import get_args
from urllib.parse import SplitResult, urlsplit

from study.driver.notice import Notice, NoticeKind
from study.driver.notice_delivery import (
    FAILURES,
    MAIL_SERVER_VARIABLE,
    PORTS,
    Address,
    Command,
    Target,
    may_pass,
    reason_of,
)
from study.errors import SpecError
from study.study_file.notify import Notify
from trainables.printable import quoted

NOTIFY_VARIABLE = "STUDY_NOTIFY"
COMMAND_VARIABLE = "STUDY_NOTIFY_COMMAND"
AT_VARIABLE = "STUDY_NOTIFY_AT"
WAIT_VARIABLE = "STUDY_NOTIFY_WAIT"
DEFAULT_WAIT_MINUTES = 30.0
PAUSES = (1.0, 5.0)
"""Seconds between tries, of which there is one more."""
SECONDS_BETWEEN_BESTS = 60.0
"""A search finds one better trial after the other at its beginning: of those in between the last is told."""
_FORMS = "https://… (a webhook that takes JSON with `text`) or mailto:NAME@HOST"


class Notices:
    """Sends notices to where the study file and the environment say; none fails a study."""

    def __init__(
        self,
        targets: Sequence[Target],
        kinds: frozenset[NoticeKind],
        wait_minutes: float,
        say: Callable[[str], object],
    ) -> None:
        """Sends nothing yet. `kinds` are told; `say` gets a line where something cannot be sent."""
        self._targets = tuple(targets)
        self._kinds = kinds
        self._wait_seconds = wait_minutes * 60
        self._say = say
        self._waits_since: float | None = None
        self._has_told_wait = False
        self._best: Notice | None = None
        """The last that is not told yet."""
        self._has_best = threading.Event()
        self._has_ended = threading.Event()
        self._telling: threading.Thread | None = None

    @classmethod
    def of(cls, notify: Notify, say: Callable[[str], object]) -> "Notices":
        """Those of a study file and the environment. Raises SpecError where one of them is wrong."""
        check_notify_settings(notify)
        return cls(_targets(notify), _kinds(notify), _wait_minutes(), say)

    def wait(self, notice: Notice) -> None:
        """Is called again and again while the study waits for a slot: once that is long, it is told, once."""
        self._waits_since = self._waits_since or time.monotonic()
        is_long = time.monotonic() - self._waits_since >= self._wait_seconds
        if is_long and not self._has_told_wait:
            self._has_told_wait = True
            threading.Thread(target=self.send, args=(notice,), name="notice", daemon=True).start()

    def end_wait(self) -> None:
        """The study has a slot."""
        self._waits_since, self._has_told_wait = None, False

    def tell_best(self, notice: Notice) -> None:
        """Lets another thread send the notice of a new best, and returns at once.

        One that comes while an earlier one is sent, or within a minute of it, takes the place of those that
        wait.
        """
        if "best" not in self._kinds or not self._targets:
            return
        self._best = notice
        self._has_best.set()
        if self._telling is None:
            self._telling = threading.Thread(target=self._tell_bests, name="notice of bests", daemon=True)
            self._telling.start()

    def end(self) -> None:
        """No best is told any more: the notice of the end has the last."""
        self._has_ended.set()
        self._has_best.set()

    def send(self, notice: Notice) -> None:
        """Sends one, with further tries, which takes half a minute at most for each target that does not
        answer.
        """
        if notice.event in self._kinds:
            for target in self._targets:
                self._send_to(target, notice)

    def _tell_bests(self) -> None:
        while True:
            self._has_best.wait()
            self._has_best.clear()
            if self._has_ended.is_set():
                return
            best, self._best = self._best, None
            if best is not None:
                self.send(best)
                self._has_ended.wait(SECONDS_BETWEEN_BESTS)

    def _send_to(self, target: Target, notice: Notice) -> None:
        for pause in (*PAUSES, None):
            try:
                target.deliver(notice)
            except FAILURES as error:
                if pause is None or not may_pass(error):
                    self._say(f"nobody could be told {target}: {reason_of(error)}")
                    return
                time.sleep(pause)
            else:
                return


def check_notify_settings(notify: Notify) -> None:
    """Raises SpecError where `notify` or a variable is wrong; shows nothing of an address."""
    for variable in _address_variables(notify):
        _check_address(variable)
    _kinds(notify)
    _wait_minutes()


def _address_variables(notify: Notify) -> tuple[str, ...]:
    """The environment variables that hold addresses, each once."""
    named = [] if notify.webhook is None else [notify.webhook]
    return tuple(dict.fromkeys([NOTIFY_VARIABLE, *named]))


def _targets(notify: Notify) -> list[Target]:
    commands = [notify.command, os.environ.get(COMMAND_VARIABLE)]
    return [
        *(Address(address) for name in _address_variables(notify) if (address := os.environ.get(name))),
        *(Command(command) for command in commands if command),
    ]


def _kinds(notify: Notify) -> frozenset[NoticeKind]:
    told = os.environ.get(AT_VARIABLE)
    if not told:
        return frozenset(notify.at)
    known = get_args(NoticeKind)
    names = [name for part in told.split(",") if (name := part.strip())]
    if wrong := [name for name in names if name not in known]:
        raise SpecError(f"{AT_VARIABLE} lists {', '.join(known)}; got {quoted(wrong[0])}")
    return frozenset(kind for kind in known if kind in names)


def _check_address(variable: str) -> None:
    address = os.environ.get(variable)
    if not address:
        if variable != NOTIFY_VARIABLE:
            raise SpecError(
                f"notify.webhook names the environment variable {quoted(variable)}, which is not set here; "
                f"set it to {_FORMS}",
                key="notify.webhook",
            )
        return
    parts = _parts(address, variable, _FORMS)
    if parts.scheme == "mailto" and "@" in parts.path:
        server = os.environ.get(MAIL_SERVER_VARIABLE, "")
        form = "smtp://NAME:PASSWORD@HOST:PORT or smtps://…"
        if (found := _parts(server, MAIL_SERVER_VARIABLE, form)).scheme not in PORTS or not found.hostname:
            raise SpecError(f"{variable} is a mail address, and so {MAIL_SERVER_VARIABLE} must be {form}")
    elif parts.scheme not in ("http", "https") or not parts.hostname:
        raise SpecError(f"{variable} must be {_FORMS}; its value is another one")


def _parts(address: str, variable: str, form: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise SpecError(f"{variable} must be {form}; its value is no address") from None
    return parts


def _wait_minutes() -> float:
    told = os.environ.get(WAIT_VARIABLE)
    try:
        minutes = float(told) if told else DEFAULT_WAIT_MINUTES
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < 1e6:
        raise SpecError(f"{WAIT_VARIABLE} is a number of minutes from 0, such as 30, got {told!r}")
    return minutes
