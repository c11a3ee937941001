"""Odd study files, drawn by a seed, and what may become of one: refused in words, or taken as it stands."""

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from study.errors import SpecError
from study.home import Home
from study.planning.plan import plan_study
from study.recipes.point import NAMES
from study.reference.study_file import nested_models
from study.study_file.constraint import Constraint
from study.study_file.study_spec import StudySpec
from study.yaml_file import read_yaml, yaml_text

ODD_VALUES = (
    *(
        "true",
        "False",
        "no",
        "on",
        "null",
        "~",
        "''",
        "'5'",
        "'true'",
        "017",
        "0x1F",
        "0b1",
        "1_000",
        "12:30:45",
    ),
    *(
        "1e3",
        "1.0",
        "-1",
        "0",
        "1",
        "3",
        "-0.0",
        "1e300",
        "-1e300",
        "1e-300",
        "5e-324",
        ".inf",
        "-.inf",
        ".nan",
    ),
    *(
        "9" * 30,
        "9" * 5000,
        "x" * 5000,
        '"\\e[31mred"',
        "'a[/b]'",
        "'[bold]x'",
        '"new\\nline"',
        "'\u202eleft'",
    ),
    *(
        "[]",
        "{}",
        "[1]",
        "[[1]]",
        "{a: 1}",
        "[0, 1]",
        "[1, 0]",
        "[.nan, 1]",
        "[true]",
        "['']",
        "[null]",
        "{'': 1}",
    ),
    *(
        "2026-11-21",
        "!!binary aGVsbG8=",
        "&a 5",
        "*a",
        "../../x",
        "/etc/passwd",
        "~nobody/x",
        "models:/nope/1",
    ),
    *(
        "名前",
        '"\\0"',
        "[" * 30 + "]" * 30,
        "'<<'",
        "=",
        "0.5",
        "file.py:SPACE",
        "sqlite:////etc/passwd",
        "best",
    ),
)
"""Values as they stand in a file."""
PLAIN_VALUES = (
    "0",
    "1",
    "2",
    "3",
    "5",
    "8",
    "32",
    "0.01",
    "0.1",
    "0.25",
    "0.5",
    "0.9",
    "true",
    "none",
    "asha",
)
"""Values that many keys may have."""
ODD_LINES = (
    "study: b",
    "unknown: 1",
    "trials: 3",
    "1: a",
    "? [a]\n: b",
    "\tbudget: 3",
    "- a",
    "---\nstudy: c",
    "budgte: {trials: 3}",
    "'': x",
    "<<: {study: a}",
    "x" * 5000 + ": 1",
    "\ufeff",
    "\x00",
    "\x1b[31m",
    "%YAML 9.9",
    "}",
    "study",
)
"""Lines that a file may have besides."""
BASES: tuple[dict[str, Any], ...] = (
    {"search_space": "digits", "budget": {"trials": 3, "epochs": 2}},
    {
        "search_space": "digits",
        "fix": {"dropout": 0.1, "batch_size": 32},
        "narrow": {"learning_rate": [1e-3, 1e-2]},
        "objective": {"metric": "accuracy"},
        "early_stopping": {"rule": "hyperband", "reduction": 2},
        "confirm": {"top": 2, "seeds": 2},
    },
    {
        "search_space": "fine_tuning",
        "fix": {"architecture": "cnn4-32x64", "weights": "none", "image_size": 32},
        "extend": {"momentum": {"float": [0.5, 0.9], "when": {"optimizer": "sgd"}}},
        "start_from": [{"learning_rate": 0.001}],
        "objective": [{"metric": "macro_f1"}, {"metric": "parameters_million"}],
        "constraints": ["accuracy >= 0.5"],
        "sampler": "nsga2",
        "promotion": {"minimum_gain": 0.01},
        "resources": {"gpus_per_trial": 0},
        "seed": 3,
    },
)
SLOWEST_SECONDS = 30.0
"""Of one file, on a busy machine; most take milliseconds."""


def keys() -> tuple[tuple[str, ...], ...]:
    """The path of every key that a study file can have, but those of `start_from`, which is a list."""
    top = [(field.alias or name,) for name, field in StudySpec.model_fields.items()]
    nested = [
        (*path.split("."), field.alias or name)
        for path, model in nested_models()
        if path not in ("start_from", "extend")
        for name, field in model.model_fields.items()
    ]
    return (*top, *nested)


def odd_file(seed: int) -> bytes:
    """A study file with one to four oddities."""
    draw = random.Random(seed)
    tree: dict[str, Any] = {"study": "odd", "dataset": "digits", **_copy(draw.choice(BASES))}
    values: dict[str, str] = {}
    for _ in range(draw.choice((1, 1, 1, 2, 3, 4))):
        path = draw.choice((draw.choice(keys()), ("fix", draw.choice(NAMES)), ("narrow", draw.choice(NAMES))))
        mark = f"ODD{len(values)}ODD"
        value = draw.choice(ODD_VALUES if draw.random() < 0.7 else PLAIN_VALUES)
        values[mark] = f"[0.1, {value}]" if path[0] == "narrow" and draw.random() < 0.5 else value
        _put(tree, path, mark)
    text = yaml_text(tree)
    for mark, value in values.items():
        text = text.replace(mark, value)
    lines = text.split("\n")
    if draw.random() < 0.2:
        lines.insert(draw.randrange(len(lines)), draw.choice(ODD_LINES))
    content = bytearray("\n".join(lines).encode())
    if draw.random() < 0.1:
        content[draw.randrange(len(content))] = draw.randrange(256)
    return bytes(content)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a file."""

    kind: Literal["refused", "accepted", "wrong"]
    text: str


def judged(file: Path, home: Home) -> Verdict:
    """What `study check` makes of a file, and whether that is right."""
    started = time.monotonic()
    try:
        spec = StudySpec.read(file)
        plan_study(spec, home)
        faults = list(_differences(read_yaml(file), spec.to_dict(), ""))
        text = "; ".join(faults)
    except SpecError as error:
        text = str(error)
        faults = list(_faults_of_message(text, file))
        if not faults:
            return _in_time(Verdict(kind="refused", text=text), started)
    except BaseException as error:  # noqa: BLE001 - whatever it is, a person would see a traceback
        faults, text = ["traceback"], f"{type(error).__name__}: {error}"
    if faults:
        return Verdict(kind="wrong", text=f"{faults}: {text[:2000]}")
    return _in_time(Verdict(kind="accepted", text=""), started)


def _in_time(verdict: Verdict, started: float) -> Verdict:
    seconds = time.monotonic() - started
    return verdict if seconds < SLOWEST_SECONDS else Verdict(kind="wrong", text=f"it took {seconds:.0f} s")


def _faults_of_message(text: str, file: Path) -> Iterator[str]:
    lines = text.split("\n")
    if len(lines) > 21:
        yield f"{len(lines)} lines"
    if len(set(lines)) < len(lines):
        yield "a line twice"
    for line in lines:
        if not line.startswith((str(file), "and ")):
            yield "a line without its file"
        if len(line) > 520 + len(str(file)):
            yield f"a line of {len(line)} characters"
        if not line.isprintable():
            yield "unprintable characters"
        if any(word in line for word in ("Input should", "Traceback", "<class", "object at 0x", "pydantic")):
            yield "words of Python"


def _differences(written: Any, taken: Any, path: str) -> Iterator[str]:
    """Where a value that was accepted is another one than what stands in the file."""
    if isinstance(written, dict) and isinstance(taken, dict):
        for key, value in written.items():
            yield from _differences(value, taken.get(key), f"{path}.{key}")
    elif isinstance(written, list) and isinstance(taken, list) and len(written) == len(taken):
        for index, (one, other) in enumerate(zip(written, taken, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif isinstance(written, list) and len(written) == 1 and isinstance(taken, dict):
        yield from _differences(written[0], taken, path)  # one objective in a list
    elif not _is_same(written, taken, path):
        yield f"{path}: {written!r} was taken for {taken!r}"


def _is_same(written: Any, taken: Any, path: str) -> bool:
    if isinstance(written, str) and isinstance(taken, dict):
        return bool(taken.get("rule") == written)  # `sampler: grid`
    if isinstance(written, dict):
        return bool(written.get("rule", "tpe") == taken)  # `sampler: {rule: tpe}`
    if path.startswith(".constraints"):
        return Constraint.parse(written) == Constraint.parse(taken)
    if isinstance(written, bool) or isinstance(taken, bool) or not isinstance(written, int | float):
        return type(written) is type(taken) and bool(written == taken)
    return isinstance(taken, int | float) and math.isfinite(taken) and written == taken


def _copy(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    return [_copy(item) for item in tree] if isinstance(tree, list) else tree


def _put(tree: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    *places, last = path
    for place in places:
        if not isinstance(tree.get(place), dict):
            tree[place] = {}
        tree = tree[place]
    tree[last] = value
