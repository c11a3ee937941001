"""The commands with their arguments and options, from the functions that the command line is made of."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from typer.models import ArgumentInfo, OptionInfo

from study.cli.main import app
from study.reference.markdown import code, one_line, table

_TYPES = {str: "text", int: "whole number", float: "number", Path: "path", bool: "switch"}


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of the command line."""

    words: str
    """`study data add`."""
    callback: Callable[..., None]

    @property
    def sentence(self) -> str:
        """What it does."""
        return one_line(inspect.getdoc(self.callback) or "").partition(" Example: ")[0]

    @property
    def example(self) -> str:
        """A line that a person may type."""
        return one_line(inspect.getdoc(self.callback) or "").partition(" Example: ")[2]


def commands() -> Iterator[Command]:
    """All commands, those of each group together."""
    yield from _commands(app, "study")


def commands_section() -> str:
    """The commands one after another."""
    return "\n".join(map(_section, commands()))


def _commands(group: typer.Typer, words: str) -> Iterator[Command]:
    for command in group.registered_commands:
        if command.callback is not None and not command.hidden:
            yield Command(
                words=f"{words} {command.name or command.callback.__name__}", callback=command.callback
            )
    for below in group.registered_groups:
        if below.typer_instance is not None:
            yield from _commands(
                below.typer_instance, f"{words} {below.name}" if isinstance(below.name, str) else words
            )


def _section(command: Command) -> str:
    parameters = inspect.signature(command.callback).parameters.values()
    options = ["[OPTIONS]"] if any(isinstance(_info(one), OptionInfo) for one in parameters) else []
    usage = " ".join(
        [command.words, *(name for one in parameters if (name := _argument(one)) is not None), *options]
    )
    rows = [_row(one) for one in parameters]
    return (
        "\n".join(
            [
                f"### {command.words}\n",
                f"{command.sentence}\n",
                f"```sh\n{command.example}\n```\n",
                f"Usage: {code(usage)}\n" if rows else "",
                table(("argument or option", "value", "default", "meaning"), rows) if rows else "",
            ]
        ).rstrip()
        + "\n"
    )


def _argument(parameter: inspect.Parameter) -> str | None:
    info = _info(parameter)
    return (info.metavar or parameter.name.upper()) if isinstance(info, ArgumentInfo) else None


def _row(parameter: inspect.Parameter) -> tuple[str, str, str, str]:
    info = _info(parameter)
    return code(_name(parameter, info)), _value(parameter, info), _default(parameter), info.help or ""


def _name(parameter: inspect.Parameter, info: ArgumentInfo | OptionInfo) -> str:
    if isinstance(info, ArgumentInfo):
        return info.metavar or parameter.name.upper()
    # The first name stands where a default would, as the default is the parameter's own.
    names = ([info.default] if isinstance(info.default, str) else []) + list(info.param_decls or ())
    return ", ".join(names or (f"--{parameter.name.replace('_', '-')}",))


def _value(parameter: inspect.Parameter, info: ArgumentInfo | OptionInfo) -> str:
    kind = get_args(parameter.annotation)[0]
    return _kind(kind) + _bounds(info) + (_repeated(info) if get_origin(_present(kind)) is list else "")


def _bounds(info: ArgumentInfo | OptionInfo) -> str:
    if info.min is None:
        return ""
    return f", at least {info.min:g}" if info.max is None else f", {info.min:g} to {info.max:g}"


def _repeated(info: ArgumentInfo | OptionInfo) -> str:
    return "; may be repeated" if isinstance(info, OptionInfo) else "; one or more"


def _present(kind: Any) -> Any:
    """The type of a value that is given."""
    if get_origin(kind) in (Union, UnionType):
        return next(part for part in get_args(kind) if part is not NoneType)
    return kind


def _kind(kind: Any) -> str:
    kind = _present(kind)
    if get_origin(kind) is Literal:
        return ", ".join(map(code, get_args(kind)))
    if get_origin(kind) is list:
        return _kind(get_args(kind)[0])
    return _TYPES[kind]


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "required"
    return "" if parameter.default in (None, False) else code(str(parameter.default))


def _info(parameter: inspect.Parameter) -> ArgumentInfo | OptionInfo:
    assert get_origin(parameter.annotation) is Annotated, f"{parameter} has no description"
    return next(
        note for note in get_args(parameter.annotation) if isinstance(note, ArgumentInfo | OptionInfo)
    )
