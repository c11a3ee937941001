"""The keys of the study file, from the models that read it."""

from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, PlainSerializer
from pydantic.fields import FieldInfo

from study.reference.markdown import code, one_line, table, written
from study.study_file.study_spec import StudySpec

_HEADER = ("key", "value", "default", "example", "meaning")
_PLAIN: Mapping[Any, str] = {bool: "`true` or `false`", int: "whole number", float: "number", str: "text"}
_BOUNDS: tuple[tuple[type, str, str], ...] = (
    (annotated_types.Ge, "ge", "at least"),
    (annotated_types.Gt, "gt", "above"),
    (annotated_types.Le, "le", "at most"),
    (annotated_types.Lt, "lt", "below"),
)


def study_file_section() -> str:
    """A table of the keys of a study file, and one for each key that holds a mapping."""
    parts = [_keys(StudySpec)]
    for path, model in nested_models():
        parts.append(
            f"### {code(path.rpartition('.')[2])}\n\n{one_line(model.__doc__ or '')}\n\n{_keys(model)}"
        )
    return "\n".join(parts)


def nested_models() -> Iterator[tuple[str, type[BaseModel]]]:
    """The keys of a study file that hold mappings with keys of their own, and the models of these; a key of
    such a mapping is named with a dot.
    """
    yield from _nested("", StudySpec)


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each key's path, and a part of a study file that has the key at its example."""
    for name, field in StudySpec.model_fields.items():
        yield field.alias or name, {field.alias or name: _example(field)}
    for path, model in nested_models():
        for name, field in model.model_fields.items():
            yield f"{path}.{field.alias or name}", _around(path, {field.alias or name: _example(field)})


def _nested(path: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        key = f"{path}{field.alias or name}"
        for below in _models(field.annotation):
            yield key, below
            yield from _nested(f"{key}.", below)


def _around(path: str, tree: dict[str, Any]) -> dict[str, Any]:
    """A mapping where a study file has it."""
    outer, _, inner = path.partition(".")
    if inner == "max_subgroup_gap":
        return {outer: {inner: {"column": "age", "gap": 0.1, **tree}}}
    if path == "extend":
        kind = {} if tree.keys() & {"float", "int", "choice"} else {"float": [1e-4, 1e-2]}
        return {path: {"learning_rate": {**kind, **tree}}}
    return {path: [{"best": 3, **tree}] if path == "start_from" else tree}


def _keys(model: type[BaseModel]) -> str:
    return table(_HEADER, [_row(field.alias or name, field) for name, field in model.model_fields.items()])


def _row(key: str, field: FieldInfo) -> tuple[str, ...]:
    return (
        code(key),
        _values(key, field),
        _default(field),
        code(written(_example(field))),
        one_line(field.description or ""),
    )


def _values(key: str, field: FieldInfo) -> str:
    bounds = _range(field.metadata)
    return f"{_kind(field.annotation, key)}{', ' if bounds else ''}{bounds}"


def _kind(annotation: Any, key: str) -> str:
    """What a person writes there."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(next((note.return_type for note in parts[1:] if _says_its_type(note)), parts[0]), key)
    if origin in (Union, UnionType):
        return _alternatives(parts, key)
    if origin is Literal:
        return ", ".join(code(str(option)) for option in parts)
    if origin is tuple:
        return f"list: {_kind(parts[0], key)}" if parts[1:] == (...,) else "`[low, high]`"
    if origin is dict:
        return f"mapping of names to [mappings](#{key})" if list(_models(annotation)) else "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[mapping](#{key})"
    return _PLAIN[annotation]


def _says_its_type(note: object) -> bool:
    return isinstance(note, PlainSerializer) and isinstance(note.return_type, type)


def _alternatives(parts: tuple[Any, ...], key: str) -> str:
    scalars = [part for part in parts if part in _PLAIN]
    shown = ["value"] if len(scalars) == len(_PLAIN) else [_PLAIN[part] for part in scalars]
    return " or ".join(
        [*shown, *(_kind(part, key) for part in parts if part not in _PLAIN and part is not NoneType)]
    )


def _range(metadata: list[Any]) -> str:
    found = {
        word: f"{getattr(rule, name):,g}" if abs(getattr(rule, name)) < 1e6 else f"{getattr(rule, name):,}"
        for rule in metadata
        for kind, name, word in _BOUNDS
        if isinstance(rule, kind)
    }
    if "at least" in found and "at most" in found:
        return f"{found['at least']} to {found['at most']}"
    return ", ".join(f"{word} {value}" for word, value in found.items())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, BaseModel):
        return "see below"
    default = _plain(field.get_default(call_default_factory=True))
    return "" if default in (None, [], {}) else code(written(default))


def _example(field: FieldInfo) -> Any:
    if field.examples:
        return field.examples[0]
    assert not field.is_required(), f"{field} has neither a default nor an example"
    return _plain(field.get_default(call_default_factory=True))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
