"""A study is refused before anything is spent, with one message that a person can act on."""

import socket
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search_spaces.named import named_recipes
from study.connections.mlflow_client import check_reachable
from study.driver.pretrained_weights import locate_weights
from study.driver.recipe_runs import Scale, reproduction_spec
from study.errors import SpecError, StudyError, TrackingError
from study.home import Home
from study.planning.plan import check_name_is_free, plan_study, study_space
from study.planning.reproduction_check import check_reproduces
from study.search.record.study_record import StudyRecord
from study.study_file.objective import Objective
from study.study_file.study_spec import StudySpec

REAL_NUMBERS = ("learning_rate", "weight_decay", "label_smoothing", "augmentation_strength", "dropout")
DIGITS = {"study": "s", "dataset": "digits", "search_space": "digits", "budget": {"trials": 3, "epochs": 4}}


def plan(home: Home, **changes: object):  # type: ignore[no-untyped-def]
    return plan_study(StudySpec.parse({**DIGITS, **changes}), home)


def test_a_good_spec_makes_a_plan(home: Home) -> None:
    made = plan(home, start_from=[{"learning_rate": 1e-3, "dropout": 0.1}])
    assert made.manifest.name == "digits"
    assert made.starts[0].point["learning_rate"] == 1e-3
    assert made.starts[0].point["optimizer"] == "adamw", "what a start point leaves open takes its default"
    assert made.num_images_trained == 3 * 4 * made.manifest.splits["train"].num_images


def test_the_cost_is_that_of_the_images_that_are_trained_on(home: Home) -> None:
    whole, part = plan(home), plan(home, fix={"train_images": 100})
    assert part.num_images_trained == 3 * 4 * 100 < whole.num_images_trained
    either = plan(home, extend={"train_images": {"choice": [100, 300]}})
    assert either.num_images_trained == 3 * 4 * 300, "at most"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dataset": "digit"},
            "unknown dataset 'digit'; known: digits; did you mean 'digits'",
        ),
        ({"search_space": "digts"}, "unknown search space 'digts'.*did you mean 'digits'"),
        (
            {"fix": {"architecture": "resnet81"}},
            "unknown architecture 'resnet81'.*did you mean 'resnet18'",
        ),
        ({"fix": {"architecture": "timm/convnext_atoo"}}, "did you mean 'timm/convnext_atto'"),
        (
            {"fix": {"freeze_depth": 9}},
            r"freeze_depth of cnn2-32x64 must lie in \[0, 2\], its number of stages; got 9",
        ),
        ({"fix": {"image_size": 4}}, "needs image_size >= 8, got 4"),
        ({"fix": {"weights": "imagenet"}}, "cnn2-32x64 has no weights 'imagenet'"),
        ({"fix": {"batch_size": "many"}}, "batch_size must be a whole number, got 'many'"),
        ({"fix": {"dropuot": 0.1}}, "unknown dimension 'dropuot'.*did you mean 'dropout'"),
        ({"narrow": {"dropout": [0.5, 0.1]}}, "needs low <= high"),
        ({"narrow": {"dropout": [0.7, 0.9]}}, "leaves nothing"),
        ({"extend": {"learning_rate": {"float": [0.1, 0.01]}}}, "needs low <= high"),
        ({"extend": {"learning_rate": {"float": [-1, 1]}}}, "learning_rate must be above 0"),
        ({"start_from": ["fer-r18-freeze-l9"]}, "unknown recipe"),
        (
            {"start_from": ["fer-cnn4-64x512"]},
            "cannot be a start point of 'digits': .*architecture must lie in cnn2-32x64",
        ),
        (
            {"start_from": [{"learning_rate": 5.0}]},
            r"start_from\[0\] cannot be a start point.*learning_rate must lie in \[0.0003, 0.03\]",
        ),
        ({"start_from": [{}] * 4}, "start_from names 4 points but budget.trials is 3"),
        (
            {"resources": {"cpus_per_trial": 1000}},
            "resources.cpus_per_trial is 1000, and this machine has .* cores",
        ),
        ({"search_storage": "sqlite:////nowhere/at/all/x.db"}, "/nowhere/at/all is not a folder"),
        (
            {"sampler": "cma_es", "fix": dict.fromkeys(REAL_NUMBERS, 0.01)},
            "sampler cma_es cannot model choices and dimensions that not every configuration has, and "
            "'digits' has no others; use tpe",
        ),
        ({"search_space": "nothing.py:SPACE"}, "cannot be loaded: FileNotFoundError"),
        ({"fix": {"batch_size": 1}}, "batch_size of cnn2-32x64 must be at least 2, as it has BatchNorm"),
        ({"fix": {"crop_margin": 100}}, "crop_margin must be at most image_size, which is 8, got 100"),
        ({"fix": {"class_weight.3": 1e12}}, "class_weight.3 must be above 0 and at most 1e.06"),
        ({"fix": {"learning_rate": 1e33}}, r"fix.learning_rate must be a number from -1e\+30 to 1e\+30"),
        ({"fix": {"probe_fraction": 5}}, r"probe_fraction must lie in \[0, 1\], got 5"),
        ({"fix": {"unfreezing_stages": 5}}, r"unfreezing_stages must lie in \[1, 4\], got 5"),
        (
            {"fix": {"weights": "/etc/passwd"}},
            "'/etc/passwd' must be a file of torch.save, or of safetensors",
        ),
        ({"fix": {"weights": "x" * 5000}}, "cannot be read: File name too long"),
        ({"fix": {"weights": "~nobody-of-that-name/w.pt"}}, "cannot be read: Could not determine home"),
        ({"reproduces": "no"}, "unknown recipe 'no'; known"),
        ({"reproduces": ""}, "unknown recipe ''; known"),
        ({"reproduces": "../../x"}, "unknown recipe '../../x'; known"),
        (
            {"reproduces": "notmnist-cnn"},
            "must train that recipe, but dataset is digits, not notmnist; objective is macro_f1, "
            "not accuracy; early_stopping is asha, not none; the search space varies .*: "
            "study reproduce notmnist-cnn",
        ),
    ],
)
def test_what_cannot_run_is_refused(home: Home, changes: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        plan(home, **changes)
    assert len(str(caught.value).splitlines()) == 1, "one fault is one line"


def test_gpus_that_this_machine_lacks(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    plan(home)
    with pytest.raises(
        SpecError, match=r"gpus_per_trial is 0.25, and this machine has 0 GPUs; take auto, or set RAY_ADDRESS"
    ):
        plan(home, resources={"gpus_per_trial": 0.25})
    with pytest.raises(
        SpecError, match=r"gpu_kind is H100, and this machine has no GPU; drop it, or set RAY"
    ):
        plan(home, resources={"gpu_kind": "H100"})
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    plan(home, resources={"gpus_per_trial": 0.25, "gpu_kind": "H100"})


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        (
            {"sampler": "grid"},
            "the grid has 18,750 configurations, of which the study tries 3, drawn from all over it",
        ),
        (
            {"sampler": {"rule": "grid", "grid_points": 2}, "budget": {"trials": 200}},
            "the grid has 192 configurations; the study ends when all were tried",
        ),
        (
            {"fix": dict.fromkeys(REAL_NUMBERS, 0.01), "budget": {"trials": 6}},
            "the space has 6 configurations; the study ends when all were tried",
        ),
        (
            {"sampler": "cma_es"},
            "cma_es draws choices and dimensions that not every configuration has at random: optimizer, "
            "batch_size",
        ),
        (
            {"sampler": "gp", "search_space": "from_scratch"},
            "gp draws dimensions that not every configuration has at random: learning_rate",
        ),
        (
            {"sampler": "random", "constraints": ["latency_ms <= 3"]},
            "random does not learn the constraints; they only decide which configuration is the best",
        ),
    ],
)
def test_what_a_sampler_makes_of_a_space_is_said(home: Home, changes: dict[str, object], remark: str) -> None:
    assert any(said.startswith(remark) for said in plan(home, **changes).remarks), plan(
        home, **changes
    ).remarks


def test_the_usual_needs_no_remark(home: Home) -> None:
    assert plan(home, constraints=["latency_ms <= 3"]).remarks == ()
    assert plan(home, search_space="given").remarks == (), "seeds of one configuration are no search"


def test_a_study_of_that_name_in_the_database(home: Home, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    (tmp_path / "elsewhere").mkdir()
    check_name_is_free(plan(home, search_storage=url))
    StudyRecord.create(tmp_path / "elsewhere", "s", objectives=[Objective()], storage_url=url)
    with pytest.raises(StudyError, match="holds a study named 's' already"):
        check_name_is_free(plan(home, search_storage=url))


def test_a_space_of_ones_own(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from search_spaces.dimensions import Choice\nfrom search_spaces.space import SearchSpace\n"
        "MINE = SearchSpace(name='mine', about='', dimensions=(Choice(name='architecture', "
        "options=('cnn2-32x64',)),))\nOTHER = 3\n"
    )
    assert plan(home, search_space=f"{file}:MINE").space.name == "mine"
    with pytest.raises(SpecError, match="must be a SearchSpace, got int"):
        plan(home, search_space=f"{file}:OTHER")


def test_a_named_recipe_gives_way_to_what_the_study_fixes(home: Home) -> None:
    made = plan(
        home,
        search_space="fine_tuning",
        fix={"architecture": "resnet18", "image_size": 48},
        start_from=["fer-r18-freeze-l1"],
    )
    (start,) = made.starts
    assert start.point["image_size"] == 48
    assert start.point["freeze_depth"] == 1
    assert start.overridden == {"image_size": 224}


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("./mlruns", "must start with http"),
        ("file:///tmp/mlruns", "must start with http"),
        ("http://127.0.0.1:1", "does not answer"),
        ("postgresql://127.0.0.1:1/mlflow", "does not answer"),
        ("sqlite:////dev/null/x/mlflow.db", "is not a folder"),
    ],
)
def test_an_mlflow_that_cannot_be_used(
    home: Home, monkeypatch: pytest.MonkeyPatch, uri: str, message: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError, match=message):
        plan(home)


def test_a_server_that_takes_the_call_and_never_answers() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        with pytest.raises(TrackingError, match="does not answer"):
            check_reachable(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - start < 5


def test_weights_that_are_no_file_are_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="which is no file"):
        plan(home, fix={"weights": str(tmp_path / "missing.pth")})


def test_weights_of_a_path_are_located_once_and_absolutely(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({}, tmp_path / "mine.pth")
    monkeypatch.chdir(tmp_path)
    assert locate_weights(plan(home, fix={"weights": "mine.pth"})) == {"mine.pth": str(tmp_path / "mine.pth")}


def test_all_that_a_study_file_names_wrongly_is_told_at_once_with_its_lines(
    home: Home, tmp_path: Path
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        """study: s
dataset: digit
search_space: digts
fix:
  dropuot: 0.1
  dropout: 7
start_from: [fer-r18-freeze-l9]
resources:
  cpus_per_trial: 1000
reproduces: no
"""
    )
    with pytest.raises(SpecError) as caught:
        plan_study(StudySpec.read(file), home)
    places = [line.partition(": ")[0] for line in str(caught.value).splitlines()]
    assert places == [f"{file}:{line}" for line in (2, 3, 5, 6, 7, 9, 10)]


def test_a_network_that_is_fixed_shrinks_the_ranges_of_the_space(home: Home) -> None:
    space = study_space(
        StudySpec.parse(
            {
                "study": "s",
                "dataset": "digits",
                "search_space": "fine_tuning",
                "fix": {"architecture": "cnn4-32x64", "weights": "models:/digits/1"},
            }
        )
    )
    assert {dimension.high for dimension in space.variants("range_end")} == {2}
    assert {dimension.high for dimension in space.variants("freeze_depth")} == {1, 2}
    fixed = {"architecture": "cnn4-32x64", "weights": "none"}
    for search_space in ("fine_tuning", "everything"):
        plan(home, search_space=search_space, fix=fixed)


def test_a_search_space_file_that_ends_the_program_is_refused(home: Home, tmp_path: Path) -> None:
    (tmp_path / "space.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(SpecError, match="cannot be loaded: SystemExit: 3"):
        plan(home, search_space=f"{tmp_path / 'space.py'}:SPACE")


def test_a_database_that_is_another_ones_is_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is MLflow's own database"):
        plan(home, search_storage=f"sqlite:///{home.folder / 'mlflow.db'}")
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE experiments (name TEXT)")
    with pytest.raises(SpecError, match=r"holds other tables \(experiments, …\); name a file of its own"):
        plan(home, search_storage=f"sqlite:///{tmp_path / 'other.db'}")
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(SpecError, match="must be a database of SQLite, and is not"):
        plan(home, search_storage=f"sqlite:///{tmp_path / 'text.db'}")
    plan(home, search_storage=f"sqlite:///{tmp_path / 'new.db'}")


def test_the_study_that_reproduces_a_recipe_is_taken_and_one_with_another_value_is_not(home: Home) -> None:
    manifest = plan(home).manifest
    for recipe in named_recipes().values():
        spec = reproduction_spec(recipe, Scale(images=100, epochs=1, seeds=2))
        classes = [name for members in (recipe.groups or {}).values() for name in members]
        check_reproduces(spec, study_space(spec), replace(manifest, classes=tuple(classes)))
        for name in ("batch_size", "image_size"):
            if name not in recipe.point:
                continue
            fix = {key: value for key, value in spec.fix.items() if key != name}
            without = spec.model_copy(update={"fix": fix})
            with pytest.raises(SpecError, match=f"fix lacks {name}"):
                check_reproduces(without, study_space(without), replace(manifest, classes=tuple(classes)))
        other = spec.model_copy(update={"fix": {**spec.fix, "batch_size": 3}})
        with pytest.raises(SpecError, match="batch_size is 3, not"):
            check_reproduces(other, study_space(other), replace(manifest, classes=tuple(classes)))
