"""What is wrong with a study file: every mistake with the key that it is about, and the line of that key."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from search_spaces.errors import SpaceError
from study.errors import SpecError, StudyError
from study.yaml_file import Key
from trainables.errors import TrainableError
from trainables.printable import cut, message_text

MAX_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a study file's values stand; specs that say the same are equal wherever they stand."""

    file: Path | None = field(default=None, compare=False)
    lines: Mapping[tuple[Key, ...], int] = field(default_factory=dict, compare=False)

    def line(self, path: tuple[Key, ...]) -> int:
        """The line of the key, or of the nearest one around it; 0 where none is known."""
        known = (
            self.lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self.lines
        )
        return next(known, 0)

    def place(self, path: tuple[Key, ...]) -> str:
        """`bad.yaml:3: `, or as much of it as is known."""
        if self.file is None:
            return ""
        line = self.line(path)
        return f"{self.file}:{line}: " if line else f"{self.file}: "


class Mistakes:
    """The mistakes found so far in one study file."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._found: list[tuple[tuple[Key, ...], Callable[[], str]]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: tuple[Key, ...], text: Callable[[], str]) -> None:
        """Takes in a mistake; `text` is asked for its sentence where it is shown."""
        self._found.append((path, text))

    @contextmanager
    def of(self, *path: Key) -> Iterator[None]:
        """Takes in what the block refuses, as one of the key at `path` unless it says itself of which."""
        try:
            yield
        except (SpaceError, StudyError, TrainableError) as error:
            own = error.path if isinstance(error, SpecError) else ()
            text = str(error)
            self.add(own or path, lambda: text)

    def refuse(self) -> None:
        """Raises SpecError with all mistakes, a line for each in the order of the file, if there is one."""
        if not self._found:
            return
        found = sorted(self._found, key=lambda mistake: self._origin.line(mistake[0]))
        lines = [f"{self._origin.place(path)}{_one_line(text())}" for path, text in found[:MAX_SHOWN]]
        if len(found) > MAX_SHOWN:
            lines.append(f"and {len(found) - MAX_SHOWN:,} more")
        raise SpecError("\n".join(dict.fromkeys(lines)))


def _one_line(text: str) -> str:
    return cut(message_text(" ".join(text.splitlines())))


def dotted(path: tuple[Key, ...]) -> str:
    """A path as a person reads it: `narrow.learning_rate[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
