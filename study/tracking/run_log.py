"""The log of one MLflow run on disk: written before it is sent, so that no death of a process loses it."""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from study.tracking.log_records import LogRecord, from_line, to_line
from trainables.atomic import atomic_file

LOG_SUFFIX, SENT_SUFFIX, INSPECTION_SUFFIX = ".jsonl", ".sent", ".npz"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How far a log has been sent."""

    offset: int = 0
    """Bytes of the log that MLflow has."""
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """Those by which the run is found."""


def logs_in(folder: Path) -> list["RunLog"]:
    """All logs in a folder, and those of which only the run's id is left."""
    files = [*folder.glob(f"*{LOG_SUFFIX}"), *folder.glob(f"*{SENT_SUFFIX}")]
    return [RunLog(folder, name) for name in sorted({file.stem for file in files})]


class RunLog:
    """Three files of one name: lines to send, how far they are sent, and what pictures are drawn from.

    Any process may append at any time. Who sends or deletes holds the lock, which ends with its process.
    Nothing is forced to the disk: a machine that loses its power may lose the last seconds.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._path = folder / f"{name}{LOG_SUFFIX}"
        self._lock: int | None = None

    @property
    def exists(self) -> bool:
        """Whether there is anything that was not deleted."""
        return self._path.exists()

    @property
    def inspection_file(self) -> Path:
        """Where the `Inspection` of the best epoch lies."""
        return self._path.with_suffix(INSPECTION_SUFFIX)

    def append(self, *records: LogRecord) -> None:
        """Writes records; they are there for every process once this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab", buffering=0) as file:
            # A line that was torn off must not take the next one with it.
            is_torn = file.tell() > 0 and not _ends_with_newline(self._path)
            file.write((b"\n" if is_torn else b"") + b"".join(to_line(record) for record in records))

    def read(self, offset: int = 0) -> list[tuple[LogRecord | None, int]]:
        """Whole lines from a byte on, each with the byte after it; None for a line that is no record."""
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                content = file.read()
        except FileNotFoundError:
            return []
        lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
        ends = [offset := offset + len(line) for line in lines]
        return [(from_line(line), end) for line, end in zip(lines, ends, strict=True)]

    @property
    def records(self) -> list[LogRecord]:
        """All records, sent or not."""
        return [record for record, _ in self.read() if record is not None]

    @property
    def sent(self) -> Sent:
        """How far it has been sent."""
        try:
            return TypeAdapter(Sent).validate_json(self._path.with_suffix(SENT_SUFFIX).read_bytes())
        except FileNotFoundError:
            return Sent()

    def mark(self, sent: Sent) -> None:
        """Notes how far it has been sent, whole or not at all."""
        with atomic_file(self._path.with_suffix(SENT_SUFFIX)) as unfinished:
            unfinished.write_text(json.dumps(asdict(sent)), encoding="utf-8")

    @property
    def num_waiting(self) -> int:
        """Records that MLflow does not have yet."""
        return len(self.read(self.sent.offset))

    def lock(self) -> bool:
        """Takes the lock, or has it already; False while another process, or another `RunLog` of this one,
        holds it.
        """
        if self._lock is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            opened = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(opened)
                return False
            if not _is_same_file(opened, self._path):  # its last holder deleted it just now
                os.close(opened)
                return False
            self._lock = opened
        return True

    def unlock(self) -> None:
        """Gives the lock back, if held."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def delete(self) -> None:
        """Removes what was sent, but for the id of the run; under the lock."""
        self.inspection_file.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Removes the id of the run."""
        self._path.with_suffix(SENT_SUFFIX).unlink(missing_ok=True)


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _is_same_file(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), path.stat())
    except FileNotFoundError:
        return False
