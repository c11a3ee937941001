"""YAML that people write: read safely, without anchors; written so that it reads back."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from study.errors import SpecError

MAX_BYTES = 1_000_000
MAX_VALUES = 10_000
"""Keys and values together."""
MAX_DEPTH = 20

Key = str | int
"""A key of a mapping, or the index of an item in a list."""


@dataclass(frozen=True, kw_only=True)
class YamlDocument:
    """The plain values of a YAML file, and where each of them stands."""

    tree: Any
    lines: Mapping[tuple[Key, ...], int]
    """The line, from 1, of every key and item, by the path to it."""


def read_document(file: Path) -> YamlDocument:
    """The plain values in a YAML file of at most 1 MB, with their lines.

    Raises SpecError for what is no file or not YAML, for more values than a person writes, and for anchors
    and tags.
    """
    try:
        return _document(_content(file))
    except yaml.YAMLError as error:
        raise SpecError(f"not YAML: {_one_line(error)}") from None


def read_yaml(file: Path) -> Any:
    """The plain values in a YAML file. Raises SpecError as `read_document` does."""
    return read_document(file).tree


def read_value(text: str) -> Any:
    """One value as a study file has it: `3e-4` is a number, `adamw` is text. Raises SpecError."""
    try:
        return _document(text).tree
    except yaml.YAMLError as error:
        raise SpecError(f"not a value: {_one_line(error)}") from None


def write_yaml(file: Path, tree: Any) -> None:
    """Writes plain values so that `read_yaml` gives them back."""
    file.write_text(yaml_text(tree), encoding="utf-8")


def yaml_text(tree: Any) -> str:
    """Plain values as a person reads them, and as `read_yaml` gives them back."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """YAML without anchors, tags and repeated keys, with the numbers of YAML 1.2.

    Numbers are decimal: `1e-4` is one; 017, 0x1F, 1_000 and 12:30 are words, and so are no, on and off.
    Anchors would let a few lines unfold into gigabytes, tags would turn a word into something else.
    """

    def __init__(self, content: bytes | str) -> None:
        super().__init__(content)
        self._num_values = 0
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refused("anchors and aliases (& and *) are not read; write the value out", event)
        if getattr(event, "tag", None) is not None:
            raise _refused(f"tags are not read, got {event.tag!r}; write the value alone", event)
        self._num_values += 1
        if self._num_values > MAX_VALUES:
            raise _refused(f"a study file has at most {MAX_VALUES:,} keys and values; write less", event)
        if self._depth >= MAX_DEPTH:
            raise _refused(f"values are nested at most {MAX_DEPTH} deep; write them flatter", event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        met: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"keys are words, got {key!r}", problem_mark=key_node.start_mark
                )
            if key in met:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} occurs twice", problem_mark=key_node.start_mark
                )
            met.add(key)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around the words that `_Loader` would take for something else."""


def _is_old(tag: str) -> bool:
    return tag.rpartition(":")[2] in ("int", "float", "bool", "timestamp", "merge", "value")


# Longer runs of digits are read as numbers with a fraction: no file makes Python compute with a megabyte of
# digits.
_INT = re.compile(r"^[-+]?(0|[1-9][0-9]{0,17})$")
_FLOAT = re.compile(
    r"^[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
)
_BOOL = re.compile(r"^(true|True|TRUE|false|False|FALSE)$")

for _kind in (_Loader, _Dumper):
    _kind.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not _is_old(tag)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _kind.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
    _kind.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOL, list("tTfF"))


def _content(file: Path) -> bytes:
    try:
        # Without a writer, opening a pipe would wait for one for ever.
        number = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        is_file = stat.S_ISREG(os.fstat(number).st_mode)
        content = os.read(number, MAX_BYTES + 1) if is_file else b""
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(number)
    if not is_file:
        raise SpecError("cannot be read: it is a folder, a pipe or a device; give the path of a file of text")
    if len(content) > MAX_BYTES:
        raise SpecError(f"a study file has at most {MAX_BYTES:,} bytes, this one has more")
    return content


def _document(content: bytes | str) -> YamlDocument:
    loader = _Loader(content)
    try:
        node = loader.get_single_node()
        tree = None if node is None else loader.construct_document(node)
        return YamlDocument(tree=tree, lines={} if node is None else dict(_lines(node, ())))
    finally:
        loader.dispose()


def _lines(node: Any, path: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], int]]:
    parts: list[tuple[Key, Any, Any]] = []
    if isinstance(node, yaml.MappingNode):
        parts = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        parts = [(index, item, item) for index, item in enumerate(node.value)]
    for key, where, value in parts:
        yield (*path, key), where.start_mark.line + 1
        yield from _lines(value, (*path, key))


def _refused(rule: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=rule, problem_mark=event.start_mark)


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"what stands at character {error.position + 1:,} is no text; save the file as UTF-8"
    return " ".join(str(error).split())
