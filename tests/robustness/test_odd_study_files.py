"""No study file ends in a traceback, hangs, or means something else than what stands in it."""

from collections import Counter
from pathlib import Path

import pytest
from odd_study_files import ODD_VALUES, judged, keys, odd_file

from search_spaces.errors import SpaceError
from study.errors import SpecError
from study.home import Home
from study.recipes.point import NAMES, build_recipe, check_value
from study.study_file.study_spec import StudySpec
from study.yaml_file import read_yaml
from trainables.datasets.manifest import Manifest
from trainables.errors import RecipeError


def tried(seeds: range, home: Home, file: Path) -> Counter[str]:
    """How many files were refused and accepted; fails with those that were neither as it should be."""
    counts: Counter[str] = Counter()
    wrong = []
    for seed in seeds:
        file.write_bytes(odd_file(seed))
        verdict = judged(file, home)
        counts[verdict.kind] += 1
        if verdict.kind == "wrong":
            wrong.append(f"seed {seed}: {verdict.text}")
    print(dict(counts))
    assert not wrong, "\n".join(wrong[:20])
    return counts


def test_three_hundred_odd_files(digits_home: Home, tmp_path: Path) -> None:
    counts = tried(range(300), digits_home, tmp_path / "odd.yaml")
    assert counts["refused"] > 100
    assert counts["accepted"] > 3


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_ten_thousand_odd_files(digits_home: Home, tmp_path: Path, block: int) -> None:
    tried(range(1000 * block, 1000 * (block + 1)), digits_home, tmp_path / "odd.yaml")


MINIMAL = {"study": "odd", "dataset": "digits", "search_space": "digits"}
WORDS = {"no", "on", "'5'", "'true'", "017", "0x1F", "0b1", "1_000", "2026-11-21", "best"}
"""What may be a name."""
TEXTS = {
    *WORDS,
    *("''", "12:30:45", "x" * 5000, '"\\e[31mred"', "'a[/b]'", "'[bold]x'", '"new\\nline"', "'\u202eleft'"),
    *("../../x", "/etc/passwd", "~nobody/x", "models:/nope/1", "名前", '"\\0"', "'<<'", "=", "file.py:SPACE"),
    "sqlite:////etc/passwd",
}
"""What is text; names of spaces and recipes are looked up after the file is read."""
NOTHING = {"null", "~"}
COUNTS = {"1", "3"}
AMOUNTS = {"1e3", "1.0", "1", "3", "0.5"}
SHARES = {"1.0", "0", "1", "-0.0", "1e-300", "5e-324", "0.5"}
MAY_BE_ACCEPTED: dict[str, set[str]] = {
    "study": WORDS,
    "dataset": WORDS,
    "about": TEXTS - {"''", '"\\e[31mred"', '"\\0"', "'\u202eleft'", "x" * 5000} | NOTHING,
    "tags": {"{}"},
    "search_space": TEXTS,
    "reproduces": TEXTS | NOTHING,
    "fix": {"{}", "{a: 1}", "{'': 1}"},
    "narrow": {"{}"},
    "extend": {"{}"},
    "start_from": {"[]", "['']"},
    "objective": {"{}"},
    "constraints": {"[]"},
    "sampler": {"{}"},
    "search_storage": {"sqlite:////etc/passwd"} | NOTHING,
    "budget": {"{}"},
    "early_stopping": {"{}"},
    "validate": {"{}"} | NOTHING,
    "confirm": {"{}"} | NOTHING,
    "promotion": {"{}"},
    "resources": {"{}"},
    "notify": {"{}"},
    "notify.at": {"[]"},
    "notify.command": TEXTS - {"''", '"new\\nline"', '"\\e[31mred"', '"\\0"', "'\u202eleft'", "x" * 5000}
    | NOTHING,
    "notify.webhook": (WORDS & {"no", "on", "'true'", "best"}) | NOTHING,
    "seed": {"0"} | COUNTS,
    "sampler.grid_points": {"3"},
    "budget.trials": COUNTS,
    "budget.epochs": COUNTS,
    "budget.hours": AMOUNTS | NOTHING,
    "budget.gpu_hours": AMOUNTS | NOTHING,
    "budget.total_epochs": COUNTS | NOTHING,
    "budget.target": SHARES | NOTHING,
    "budget.no_improvement": COUNTS | NOTHING,
    "budget.minimum_gain": AMOUNTS | NOTHING,
    "early_stopping.first_rung": {"0.5"},
    "early_stopping.reduction": {"3"},
    "early_stopping.brackets": COUNTS | NOTHING,
    "early_stopping.min_trials": COUNTS,
    "early_stopping.interval": {"0.5"},
    "early_stopping.quantile": {"0.5"},
    "early_stopping.resample": SHARES,
    "early_stopping.protect_top": {"0"} | COUNTS,
    "early_stopping.plateau": COUNTS | NOTHING,
    "validate.folds": {"3"},
    "confirm.top": COUNTS,
    "confirm.seeds": {"3"},
    "promotion.minimum_gain": {"-1"} | SHARES,
    "promotion.confidence": {"0.5"},
    "promotion.max_recall_loss": {"3"} | SHARES | NOTHING,
    "promotion.max_latency_ms": AMOUNTS | NOTHING,
    "promotion.max_subgroup_gap": NOTHING,
    "resources.cpus_per_trial": COUNTS,
    "resources.gpus_per_trial": {"1.0", "0", "1", "-0.0", "0.5"},
    "resources.max_concurrent": COUNTS | NOTHING,
    "resources.retries": {"0"} | COUNTS,
    "resources.checkpoints_gb": AMOUNTS | NOTHING,
    "resources.gpu_kind": WORDS | NOTHING,
}
"""By key: the odd values that it may have, as they stand in a file. A key that is not here may have none."""


@pytest.mark.parametrize("key", keys(), ids=".".join)
def test_every_key_with_every_odd_value(key: tuple[str, ...], tmp_path: Path) -> None:
    file, accepted, refusals = tmp_path / "odd.yaml", set(), []
    for value in ODD_VALUES:
        lines = [f"{name}: {plain}" for name, plain in MINIMAL.items() if name != key[0]]
        odd = value
        for name in reversed(key[1:]):
            odd = f"{{{name}: {odd}}}"
        file.write_text("\n".join([*lines, f"{key[0]}: {odd}"]))
        try:
            StudySpec.read(file)
        except SpecError as error:
            refusals.append(str(error))
            continue
        accepted.add(value)
    assert [one for one in refusals if not one.startswith(str(file))] == []
    assert accepted == MAY_BE_ACCEPTED.get(".".join(key), set())


@pytest.mark.parametrize("name", [*NAMES, "class_weight.3", "class_weight.nope"])
def test_every_dimension_with_every_odd_value(name: str, digits_home: Home, tmp_path: Path) -> None:
    manifest, file = Manifest.read(digits_home.datasets / "digits"), tmp_path / "value.yaml"
    for value in ODD_VALUES:
        file.write_text(f"value: {value}")
        try:
            written = read_yaml(file)["value"]
        except ValueError:
            continue
        if not isinstance(written, bool | int | float | str):
            continue
        try:
            check_value(name, written)
            recipe = build_recipe({name: written}, dataset=manifest, epochs=3, seed=0)
        except (RecipeError, SpaceError):
            continue
        assert recipe.num_epochs == 3
