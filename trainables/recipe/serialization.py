"""A tree of frozen dataclasses as plain JSON values, and back, with the path of what does not fit."""

import dataclasses
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from trainables.errors import FieldError, RecipeError

_WORDS = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}


def plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as dicts and lists; other values as they are."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def built(kind: Any, value: Any, path: str) -> Any:
    """The value of type `kind` that `plain` turned into `value`.

    Raises RecipeError that names `path`, or one below it.
    """
    if dataclasses.is_dataclass(kind):
        return _built_dataclass(kind, value, path)
    if get_origin(kind) in (Union, UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        return (
            None if value is None and len(options) < len(get_args(kind)) else built(options[0], value, path)
        )
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise FieldError(path, f"must be a list, got {value!r}")
        return tuple(built(get_args(kind)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if get_origin(kind) is Mapping:
        if not isinstance(value, Mapping):
            raise FieldError(path, f"must map class names to numbers, got {value!r}")
        return {str(key): built(float, item, f"{path}[{key!r}]") for key, item in value.items()}
    return _scalar(kind, value, path)


def _built_dataclass(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise FieldError(path, f"must be a mapping, got {value!r}")
    types, required = _fields(kind)
    if unknown := sorted(value.keys() - types.keys()):
        raise RecipeError(f"{path} has no field {unknown[0]!r}; it has {', '.join(types)}")
    missing = [name for name in required if name not in value]
    if missing:
        raise RecipeError(f"{path} lacks {missing[0]!r}")
    values = {name: built(types[name], item, f"{path}.{name}") for name, item in value.items()}
    try:
        return kind(**values)
    except FieldError as error:
        raise error.named(f"{path}.{error.field}") from None


@cache
def _fields(kind: type) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The type of each field, and the names of the fields without a default."""
    hints = get_type_hints(kind)  # it evaluates texts, which takes as long as all the rest
    required = tuple(
        f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING
    )
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}, required


def _scalar(kind: Any, value: Any, path: str) -> Any:
    if get_origin(kind) is Literal:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind in (str, bool) and isinstance(value, kind):
        return value
    raise FieldError(path, f"must be {_WORDS[kind]}, got {value!r}")
