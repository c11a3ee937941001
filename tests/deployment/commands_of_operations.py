"""The commands that OPERATIONS.md has, and what its table says of each."""

import re
import shlex
from dataclasses import dataclass

from deployment_files import PAGE

PROGRAMS = (
    "cp",
    "curl",
    "docker",
    "export",
    "helm",
    "jq",
    "kubectl",
    "mkdir",
    "mlflow",
    "mlflow_admin",
    "prepare",
    "python",
    "ray",
    "sed",
    "study",
    "sudo",
    "tar",
    "umask",
)
HEADING = "## Which commands were run"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table."""

    commands: tuple[str, ...]
    """Each the first words of commands."""
    run_by: str
    """A test, or why none."""


def commands() -> list[str]:
    """Every command of the page, in blocks and within sentences, but for its table."""
    page = PAGE.partition(HEADING)[0]
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    lines = [line for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", page, flags=re.DOTALL))
    found = [part for line in (*lines, *spans) for part in _parts(line)]
    return sorted({one for one in found if one.split()[0] in PROGRAMS and len(one.split()) > 1})


def rows() -> list[Row]:
    """The table."""
    table = PAGE[PAGE.index(HEADING) :].partition("\n## ")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| `")]
    return [Row(commands=tuple(re.findall(r"`([^`]+)`", one[0])), run_by=one[1].strip()) for one in cells]


def _parts(line: str) -> list[str]:
    """A line's commands, without what one hands the next, and without comments."""
    try:
        words = shlex.split(line.partition(" #")[0], posix=False)
    except ValueError:  # a word with an apostrophe, in a sentence
        return []
    parts: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "||", "|", ";") or word.endswith(";"):
            parts[-1].append(word.rstrip(";&|"))
            parts.append([])
        else:
            parts[-1].append(word)
    return [" ".join(part).strip() for part in parts if any(part)]
