"""What the commands on recipes print: the list, and one recipe in full."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from search_spaces.dimensions import Value
from search_spaces.named_recipe import NamedRecipe
from study.cli.reports.terminal import console
from study.number_text import number_text
from study.planning.bundled_studies import bundled_studies
from study.recipes.phases import build_phases
from study.recipes.point import DEFAULTS
from trainables.models.catalogue import find_architecture

_OF_EVERY_TRAINING = (
    "augmentation_strength",
    "batch_size",
    "class_weight_power",
    "dropout",
    "flip_probability",
    "label_smoothing",
    "mixing",
    "schedule",
    "views",
    "warmup_fraction",
    "weight_decay",
)
"""Dimensions whose defaults say something of every training, not only of some losses, heads or policies."""


def print_recipes(recipes: Iterable[NamedRecipe], *, as_json: bool = False) -> None:
    """One line for each recipe, and the bundled studies."""
    recipes = list(recipes)
    if as_json:
        print(json.dumps([_as_dict(recipe) for recipe in recipes], indent=2))
        return
    table = Table(
        "recipe",
        "dataset",
        "architecture",
        "parameters",
        "epochs",
        "stated result",
        "source",
        box=None,
        pad_edge=False,
    )
    for recipe in recipes:
        stated = (
            ""
            if recipe.result is None
            else f"{recipe.result.metric.replace('_', ' ')} {recipe.result.value:.2%}"
        )
        architecture = str(recipe.point["architecture"])
        table.add_row(
            recipe.name,
            recipe.dataset.name,
            architecture,
            f"{recipe.parameters:,}",
            str(recipe.epochs),
            stated,
            f"[dim]{recipe.source}[/]",
        )
    out = console()
    out.print(table)
    out.print(f"\nbundled studies      {', '.join(bundled_studies())}")
    out.print("\nNext:")
    out.print(
        "  study recipes NAME         all values of a recipe, stated or chosen; or a bundled study's file"
    )
    out.print("  study reproduce NAME       train it, and compare with what its source states")


def print_recipe(recipe: NamedRecipe, *, as_json: bool = False) -> None:
    """Every value of a recipe, marked stated or chosen with the reason, its phases, and how to use it."""
    if as_json:
        print(json.dumps(_as_dict(recipe), indent=2))
        return
    out = console()
    out.print(f"[bold]{recipe.name}[/]  {recipe.about}")
    out.print(f"{recipe.source}, on {recipe.dataset.name}: {recipe.dataset.about}")
    out.print(f"{recipe.parameters:,} parameters; states {recipe.result or 'no result'}")
    if recipe.not_rebuilt:
        out.print(f"cannot be rebuilt exactly: {recipe.not_rebuilt}")
    out.print()
    out.print(_values(recipe))
    out.print()
    out.print(_phases(recipe))
    left = ", ".join(
        f"{name} {number_text(DEFAULTS[name])}"
        for name in DEFAULTS
        if name in _OF_EVERY_TRAINING and name not in recipe.point
    )
    out.print(f"\n[dim]at our defaults: {left}[/]")
    out.print("\nNext:")
    out.print(f"  {recipe.dataset.add}")
    out.print(f"  study reproduce {recipe.name}")
    out.print(f"  start_from: \\[{recipe.name}]   in a study file, to search around it")


def _values(recipe: NamedRecipe) -> Table:
    table = Table("dimension", "value", "", "why", box=None, pad_edge=False)
    table.add_row(
        "epochs", str(recipe.epochs), *(_chosen(recipe.epochs_chosen) if recipe.epochs_chosen else _STATED)
    )
    for name, value in recipe.point.items():
        marks = _chosen(recipe.chosen[name].why) if name in recipe.chosen else _STATED
        table.add_row(name, number_text(value), *marks)
    return table


_STATED = ("[green]stated[/]", "")


def _chosen(why: str) -> tuple[str, str]:
    return "[yellow]chosen[/]", f"[dim]{why}[/]"


def _phases(recipe: NamedRecipe) -> Table:
    architecture = find_architecture(str(recipe.point["architecture"]))
    table = Table("phase", "epochs", "trained", "learning rate", "schedule", box=None, pad_edge=False)
    for number, phase in enumerate(
        build_phases(recipe.point, recipe.epochs, architecture.num_stages), start=1
    ):
        trained = _trained(phase, architecture.num_stages)
        table.add_row(
            str(number),
            str(phase["epochs"]),
            trained,
            number_text(phase["learning_rate"]),
            str(phase["schedule"]),
        )
    return table


def _trained(phase: Mapping[str, Any], num_stages: int) -> str:
    if phase.get("trainable_share") is not None:
        return f"the head and the last {phase['trainable_share']:.0%} of the blocks"
    depth = phase.get("freeze_depth", 0)
    return (
        "everything"
        if not depth
        else "the head"
        if depth == num_stages
        else f"all but the first {depth} of {num_stages} stages"
    )


def _as_dict(recipe: NamedRecipe) -> dict[str, Any]:
    chosen: dict[str, dict[str, Value]] = {
        name: {"value": chosen.value, "why": chosen.why} for name, chosen in recipe.chosen.items()
    }
    return {
        "name": recipe.name,
        "dataset": recipe.dataset.name,
        "source": recipe.source,
        "about": recipe.about,
        "parameters": recipe.parameters,
        "epochs": recipe.epochs,
        "stated": dict(recipe.stated),
        "chosen": chosen,
        "result": None
        if recipe.result is None
        else {"metric": recipe.result.metric, "value": recipe.result.value},
        "not_rebuilt": recipe.not_rebuilt,
    }
