"""The desk of a cluster: one job that lives long and answers commands that only read, within a second.

A command as a job of its own pays for a new Python and its imports. The desk has them behind it. It runs the
code of whoever asks: its name is a digest of that code, of STUDY_HOME and of MLflow's address, so a client of
another version has another desk. Whoever asks first starts it; a desk that nobody asks ends.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cluster.errors import ClusterError
from cluster.jobs import Job, JobServer
from cluster.working_dir import zip_files
from study.errors import StudyError
from study.remote.payload import job_environment, source_code
from study.remote.replies import Answer, Refused, replies
from study.user import current_user

START_SECONDS = 60.0
"""How long a desk that has just been asked for may take to answer."""
ANSWER_SECONDS = 30.0
"""How long a desk that runs may take."""
IDLE_SECONDS = 1800.0
"""A desk that nobody asked for this long ends."""
POLL_SECONDS = 0.05
SECONDS_BETWEEN_LOOKS = 2.0
"""At whether the desk still runs."""
DESK = "desk"
"""Metadata of a desk's job: the name of the desk."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A command that somebody asks."""

    words: list[str]
    user: str

    def to_bytes(self) -> bytes:
        """As it travels."""
        return json.dumps({"words": self.words, "user": self.user}).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Question":
        """Raises ValueError for what is no question."""
        try:
            tree = json.loads(content)
            return cls(words=[str(word) for word in tree["words"]], user=str(tree["user"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no question: {content[:80]!r}") from error


def ask_desk(words: list[str], server: JobServer, *, home: str | None = None) -> Answer | None:
    """What `study WORDS…` prints on the cluster, by its desk, which is started where it does not run.

    None where the desk does not answer in time; then the command may be sent as a job. Raises StudyError with
    the reason of a refusal, and ClusterError where the cluster itself does not answer.
    """
    settings = job_environment(server, home, needs_tracking=False, is_read=True)
    code = source_code()
    name = desk_name(code, settings)
    latest = _latest(server, name)
    if latest is not None and not latest.has_ended:
        job_id, patience = latest.id, ANSWER_SECONDS
    else:
        job_id, patience = _next_id(name, latest), START_SECONDS
        if not _start(server, name, job_id, code, settings):
            return None
        if latest is not None and latest.state == "FAILED":
            return None  # it may fail again, and the person waits
    letter = server.send_letter(name, Question(words=words, user=current_user()).to_bytes())
    return _await(server, name, job_id, letter, patience)


def desk_name(code: Mapping[str, bytes], settings: Mapping[str, str]) -> str:
    """The same for the same code, STUDY_HOME and address of MLflow."""
    digest = hashlib.sha256()
    for path in sorted(code):
        digest.update(f"{path}\0{len(code[path])}\0".encode() + code[path])
    for variable in ("STUDY_HOME", "MLFLOW_TRACKING_URI"):
        digest.update(f"{variable}={settings.get(variable, '')}\0".encode())
    return f"{DESK}-{digest.hexdigest()[:16]}"


def _latest(server: JobServer, name: str) -> Job | None:
    """The job of this desk that runs, or the last one that did."""
    first = server.find_job(name)
    if first is not None and not first.has_ended:
        return first  # as nearly always, and quicker than a list of all jobs
    generations = [job for job in server.jobs() if job.metadata.get(DESK) == name]
    return max(generations, key=lambda job: _generation(name, job.id), default=None)


def _next_id(name: str, latest: Job | None) -> str:
    """The same for all who find the same desk gone, so that they start one together.

    It is not the id of the one that ended: Ray looks after a job for a second after its end, and would take
    another one of that id for failed.
    """
    return name if latest is None else f"{name}-{_generation(name, latest.id) + 1}"


def _generation(name: str, job_id: str) -> int:
    number = job_id.removeprefix(f"{name}-")
    return int(number) if number.isdecimal() else 0


def _start(
    server: JobServer, name: str, job_id: str, code: Mapping[str, bytes], settings: Mapping[str, str]
) -> bool:
    """Starts the desk; False where the cluster refuses."""
    try:
        server.submit(
            job_id,
            f"python -m study.cli.job desk {name}",
            working_dir=server.upload(zip_files(dict(code))),
            environment=settings,
            metadata={DESK: name, "user": current_user()},
        )
    except ClusterError:  # somebody else may have started it at this moment
        return server.find_job(job_id) is not None
    return True


def _await(server: JobServer, name: str, job_id: str, letter: str, patience: float) -> Answer | None:
    deadline = time.monotonic() + patience
    desk, looked = server.find_job(job_id), time.monotonic()
    while time.monotonic() < deadline:
        if desk is None or desk.has_ended:
            return None
        text = server.letter_answer(desk, name, letter)
        for reply in () if text is None else replies(text):
            if isinstance(reply, Refused):
                raise StudyError(reply.message)
            if isinstance(reply, Answer):
                return reply
        if text is not None:
            return None
        time.sleep(POLL_SECONDS)
        if time.monotonic() - looked > SECONDS_BETWEEN_LOOKS or not desk.node:
            desk, looked = server.find_job(job_id), time.monotonic()
    return None
