"""A recipe of JSON with an odd value is refused by its path, or holds that value."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trainables.__main__ import _read_recipe
from trainables.errors import RecipeError
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe

TREE = Recipe(
    data=Data(image_size=8),
    model=Model(architecture="cnn2-32x64"),
    phases=(Phase(epochs=2, learning_rate=0.01),),
).to_dict()
ODD_VALUES = (
    *(None, True, False, -1, 0, 1, 3, 10**30, -(10**30), 0.5, 1.0, 1e300, 5e-324, float("nan"), float("inf")),
    *("", "5", "true", "none", "x" * 5000, "\x1b[31m", "\x00", "\ud800", [], {}, [1], [[]], {"a": 1}, [None]),
)


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values, parts included."""
    if path:
        yield path
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, part in parts:
        yield from leaves(part, (*path, key))


def with_value(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The recipe with another value at a path."""
    tree: dict[str, Any] = json.loads(json.dumps(TREE))
    place: Any = tree
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return tree


@pytest.mark.parametrize("path", list(leaves(TREE)), ids=lambda path: ".".join(map(str, path)))
def test_every_field_with_every_odd_value(path: tuple[Any, ...]) -> None:
    for value in ODD_VALUES:
        try:
            found: Any = Recipe.from_dict(with_value(path, value)).to_dict()
        except RecipeError:
            continue
        for part in path:
            found = found[part]
        is_part = isinstance(value, dict)  # of which the rest has its defaults
        is_same = found == value or (isinstance(found, float) and found == float(value))  # 10**30 is 1e30
        assert is_part or (is_same and isinstance(found, bool) == isinstance(value, bool)), value


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[" * 100_000, b"[]", b"5", b"{}", b"9" * 5000, b'{"data": NaN}', b"null"]
)
def test_odd_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "recipe.json").write_bytes(content)
    with pytest.raises(RecipeError):
        _read_recipe(tmp_path / "recipe.json")


def test_a_pipe_is_no_recipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "recipe.json")
    with pytest.raises(RecipeError, match="a folder, a pipe or a device"):
        _read_recipe(tmp_path / "recipe.json")
