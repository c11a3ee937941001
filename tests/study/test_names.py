"""Names sent to MLflow are built in `study/names.py` alone."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from study import names

ROOT = Path(__file__).parents[2]
SENT = re.compile(
    r"(study|test|mlflow|dataset|version|decisions|verdict|validation)\."
    r"|(train|validation|best|seconds|system|cost|test|ensemble|selected|reproduction|budget|within_class)/"
)
FILES = re.compile(r".*\.(yaml|json|jsonl|db|py)|mlflow\.store\..*")
"""File names, and a logger of MLflow."""


def _texts(file: Path) -> Iterator[str]:
    """All texts of a file, and the beginnings of formatted ones, docstrings apart."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_tags_and_metrics_are_built_in_names_alone() -> None:
    built = [
        f"{file.relative_to(ROOT)}: {text!r}"
        for file in sorted((ROOT / "study").rglob("*.py"))
        if file != Path(names.__file__)
        for text in _texts(file)
        if SENT.match(text) and not FILES.fullmatch(text) and not _is_module(text)
    ]
    assert built == []


def test_the_names_are_found_where_they_are_built() -> None:
    assert sum(SENT.match(text) is not None for text in _texts(Path(names.__file__))) > 30


def _is_module(text: str) -> bool:
    """Whether it names a module of ours, or a function of one, as what is imported by name does."""
    return (ROOT / text.split(":", maxsplit=1)[0].replace(".", "/")).with_suffix(".py").exists()
