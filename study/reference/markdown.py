"""Markdown tables, and values as a study file has them."""

from collections.abc import Iterable, Sequence
from typing import Any

import yaml


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, ending in a line break; cells may hold any text."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def code(text: str) -> str:
    """Text in the type of a program."""
    return f"`{text}`"


def written(value: Any) -> str:
    """A value as a study file has it, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def one_line(text: str) -> str:
    """A docstring as one line."""
    return " ".join(text.split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
