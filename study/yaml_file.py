"""YAML that people write: read safely, without anchors; written so that it reads back."""

import re
from pathlib import Path
from typing import Any

import yaml

from study.errors import SpecError

MAX_BYTES = 1_000_000


def read_yaml(file: Path) -> Any:
    """The plain values in a YAML file of at most 1 MB.

    Raises SpecError for a file that is not there or not YAML, and for anchors, which let a few lines unfold
    into gigabytes.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise SpecError(f"a study file has at most {MAX_BYTES:,} bytes, this one has {len(content):,}")
    try:
        return yaml.load(content, _Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise SpecError(f"not YAML: {_one_line(error)}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise SpecError(f"not YAML that a person wrote: {type(error).__name__}") from None


def read_value(text: str) -> Any:
    """One value as a study file has it: `3e-4` is a number, `adamw` is text. Raises SpecError."""
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise SpecError(f"not a value: {_one_line(error)}") from None


def write_yaml(file: Path, tree: Any) -> None:
    """Writes plain values so that `read_yaml` gives them back."""
    file.write_text(yaml_text(tree), encoding="utf-8")


def yaml_text(tree: Any) -> str:
    """Plain values as a person reads them, and as `read_yaml` gives them back."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """YAML without anchors and repeated keys, where 1e-4 is a number (YAML 1.2) and no, on and off are
    words.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases (& and *) are not read; write the value out",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"keys are words, got {key!r}", problem_mark=node.value[i][0].start_mark
                )
            if key in keys[:i]:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} occurs twice", problem_mark=node.value[i][0].start_mark
                )
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around the words that `_Loader` would take for something else."""


def _is_old(tag: str) -> bool:
    return tag in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")


_FLOAT = re.compile(r"^[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$")
_BOOL = re.compile(r"^(true|True|TRUE|false|False|FALSE)$")

for _kind in (_Loader, _Dumper):
    _kind.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not _is_old(tag)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
    _kind.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOL, list("tTfF"))


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
