"""What of a recipe may change while a training goes on.

Fields that say how far, how strongly or how often a step does what it does may change: nothing of a
training's state is made of them. They are the numbers with a fraction (`float`), but those marked
`Continuation.LASTS`, and what is marked `Continuation.MAY_CHANGE` (`trainables.recipe.fields`). All others
last. Layers and the optimizer's kind are what the state consists of; what trains when, and where a schedule
turns, is what the epochs done count towards; a batch was found to fit into memory; and values of before and
after compare only where the network sees the same images and is asked the same way.
"""

import dataclasses
from typing import Any

from trainables.recipe.fields import changeable_fields
from trainables.recipe.serialization import plain
from trainables.recipe.tree import Recipe


def lasting(recipe: Recipe) -> dict[str, Any]:
    """All of a recipe but its seed and what may change, of which it says whether it is there at all.

    A training can go on under another recipe where this is equal.
    """
    tree: dict[str, Any] = _lasting(recipe)
    del tree["seed"]
    return tree


def _lasting(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_lasting(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return plain(value)
    kind: Any = type(value)
    changeable = changeable_fields(kind)
    return {
        field.name: getattr(value, field.name) is not None
        if field.name in changeable
        else _lasting(getattr(value, field.name))
        for field in dataclasses.fields(value)
    }
