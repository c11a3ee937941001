"""The project's pages, and the parts of them that can be checked: code blocks, commands, links, headings."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_README = 150

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Page:
    """One page in Markdown."""

    file: Path

    def __str__(self) -> str:
        return self.file.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        """The whole page."""
        return self.file.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The page without its code blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> list[str]:
        """The code blocks in a language."""
        return [text for found, text in _FENCE.findall(self.text) if found == language]

    @property
    def spans(self) -> list[str]:
        """The pieces of code within sentences and tables."""
        return _SPAN.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """The targets of links and pictures."""
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """The headings, as links name them."""
        return {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)}


@dataclass(frozen=True)
class Command:
    """A line for the terminal on a page, as words."""

    page: Page
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def pages() -> list[Page]:
    """All pages of the project."""
    files = [
        file for pattern in ("*.md", ".github/*.md", "[a-z]*/**/*.md") for file in sorted(ROOT.glob(pattern))
    ]
    return [Page(file) for file in files if not set(file.relative_to(ROOT).parts) & {".venv", "node_modules"}]


def commands(program: str) -> list[Command]:
    """The commands of a program in the shell blocks and code spans of all pages; `uv run` and settings before
    it are left out.
    """
    return [Command(page, words) for page in pages() for words in _commands(page) if words[0] == program]


def _commands(page: Page) -> Iterator[tuple[str, ...]]:
    lines = [line for block in page.blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
    lines += [
        line.removeprefix("$ ")
        for block in page.blocks("text")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    for line in [*lines, *page.spans]:
        for part in re.split(r" && |; | \| ", line):
            words = _words(part)
            while words and (words[0] in ("uv", "run") or re.match(r"^[A-Z_]+=", words[0])):
                words = words[1:]
            if len(words) > 1:
                yield tuple(words)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # half a quotation: a sentence, or a line that goes on
        return []


def _anchor(heading: str) -> str:
    """As GitHub makes them of headings: lower case, without punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
