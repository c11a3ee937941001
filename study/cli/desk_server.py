"""The process of a cluster's desk: it answers commands that only read, each in a process of its own that has
all imports behind it.
"""

import io
import multiprocessing
import os
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from cluster.connection import connected
from cluster.mailbox import Letter, Mailbox, write_answer
from study.remote.desk import IDLE_SECONDS, Question
from study.remote.replies import Answer, Refused, Reply, reply_line
from study.user import USER_VARIABLE

MOST_AT_ONCE = 8
"""Commands; the others wait."""
MOST_SECONDS = 60.0
"""For one command, whose process ends then without an answer."""
KEPT_SECONDS = 60.0
"""How long an answer waits to be fetched."""
POLL_SECONDS = 0.05
SLOW_POLL_SECONDS = 0.25
"""Once nobody has asked for a minute."""
NEEDS_RAY = ("queue",)
"""Commands that ask Ray's actors. This process answers them itself: connecting another one takes seconds."""


def answer(words: list[str]) -> Answer:
    """What `study WORDS…` prints here. Raises StudyError where STUDY_HOME is not named or cannot be used."""
    from study.cli.main import main as study
    from study.remote.preflight import check_home

    check_home()
    sys.argv = ["study", *words]
    out, err = _stream(), _stream()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            study()
        except SystemExit as end:
            code = end.code or 0
    return Answer(stdout=_text(out), stderr=_text(err), code=code if isinstance(code, int) else 1)


def _stream() -> io.TextIOWrapper:
    """As standard error is: what is no UTF-8 is written as it would be in Python."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", newline="")


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def serve(name: str) -> None:
    """Answers letters until nobody has written for half an hour, or this job is stopped."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["study.cli.desk_imports"])
    with connected():
        desk = _Desk(Mailbox(name), context)
        print(f"{name} answers", flush=True)
        desk.serve()


class _Desk:
    def __init__(self, mailbox: Mailbox, context: ForkServerContext) -> None:
        self._mailbox = mailbox
        self._context = context
        self._waiting: list[Letter] = []
        self._processes: dict[str, tuple[ForkServerProcess, float]] = {}
        """By letter, with the moment at which each started."""
        self._answered: list[tuple[float, Letter]] = []
        self._last = time.monotonic()

    def serve(self) -> None:
        try:
            while self._processes or time.monotonic() - self._last < IDLE_SECONDS:
                self._look()
                is_quiet = time.monotonic() - self._last > KEPT_SECONDS
                time.sleep(SLOW_POLL_SECONDS if is_quiet else POLL_SECONDS)
        finally:
            for process, _ in self._processes.values():
                process.kill()

    def _look(self) -> None:
        now = time.monotonic()
        for letter in self._mailbox.take():
            self._last = now
            self._waiting.append(letter)
        for id_, (process, started) in list(self._processes.items()):
            if now - started > MOST_SECONDS:
                process.kill()
            if not process.is_alive():
                process.close()
                del self._processes[id_]
        while self._waiting and len(self._processes) < MOST_AT_ONCE:
            self._begin(self._waiting.pop(0), now)
        while self._answered and now - self._answered[0][0] > MOST_SECONDS + KEPT_SECONDS:
            self._mailbox.forget(self._answered.pop(0)[1])

    def _begin(self, letter: Letter, now: float) -> None:
        try:
            question = Question.from_bytes(letter.content)
        except ValueError:
            return  # from something else than our client
        self._answered.append((now, letter))
        if question.words[:1] and question.words[0] in NEEDS_RAY:
            _write_reply(question, letter.answer)
            return
        process = self._context.Process(target=_write_reply, args=(question, letter.answer), daemon=True)
        process.start()
        self._processes[letter.id] = process, now


def _write_reply(question: Question, file: Path) -> None:
    os.environ[USER_VARIABLE] = question.user
    write_answer(file, reply_line(_reply(question.words)).encode())


def _reply(words: list[str]) -> Reply:
    from study.cli.main import message_of

    try:
        return answer(words)
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        return Refused(message=message)
