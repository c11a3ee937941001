"""A study file is read as a person means it, and refused with the rule, the value and the way out."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.dimensions import Choice, Float, none_of
from search_spaces.errors import SpaceError
from study.errors import SpecError
from study.study_file.constraint import Constraint
from study.study_file.measures import MEASURES
from study.study_file.study_spec import StudySpec
from study.yaml_file import write_yaml
from trainables.metrics.classification import METRICS

MINIMAL = {"study": "s", "dataset": "digits"}


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "study.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_the_study_file_of_the_design(tmp_path: Path) -> None:
    spec = StudySpec.read(
        write(
            tmp_path,
            """
study: fer2013-freeze-depth
dataset: fer2013
search_space: fine_tuning
fix: {architecture: resnet18, image_size: 48}
narrow: {learning_rate: [1e-4, 3.0e-3]}
start_from: [fer-r18-freeze-l1]
objective: {metric: macro_f1}
budget: {trials: 40, epochs: 30, hours: 6}
early_stopping: asha
resources: {gpus_per_trial: auto, cpus_per_trial: 1}
seed: 0
""",
        )
    )
    assert spec.narrow["learning_rate"] == (1e-4, 3e-3), "1e-4 is a number, also without a dot"
    assert spec.fix == {"architecture": "resnet18", "image_size": 48}
    assert spec.early_stopping.rule == "asha"
    assert (spec.budget.trials, spec.budget.hours) == (40, 6)


def test_words_that_old_yaml_takes_for_truth_values_stay_words(tmp_path: Path) -> None:
    assert StudySpec.read(write(tmp_path, "study: no\ndataset: on")).study == "no"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datset": "x"}, "^unknown key 'datset'; did you mean 'dataset'\\?$"),
        (
            {"budget": {"trails": 3}},
            r"^unknown key 'budget.trails'; did you mean 'trials'\?$",
        ),
        ({"budget": {"trials": -3}}, "^budget.trials must be at least 1, got -3$"),
        ({"budget": {"hours": 0}}, "^budget.hours must be at least 0.001, got 0$"),
        ({"study": "a/b"}, "study must be a name of at most 64 letters.*, got 'a/b'"),
        ({"objective": {"metric": "f1"}}, "objective.metric must be one of accuracy, .*got 'f1'"),
        (
            {"objective": {"metrik": "kappa"}},
            "unknown key 'objective.metrik'; did you mean 'metric'",
        ),
        (
            {"objective": [{"metrik": "kappa"}]},
            "unknown key 'objective.metrik'; did you mean 'metric'",
        ),
        ({"objectives": {"metric": "kappa"}}, "unknown key 'objectives'; .*did you mean 'objective'"),
        (
            {"objective": {"metric": "latency_ms"}},
            "the first objective ranks trials at every epoch, .*got 'latency_ms': put it after",
        ),
        ({"objective": []}, "objective needs at least one metric, got an empty list"),
        ({"objective": [{"metric": "kappa"}] * 2}, "objective names 'kappa' twice"),
        (
            {"constraints": ["latency_ms < 10"]},
            "a constraint reads NAME <= NUMBER or NAME >= NUMBER, .*; got 'latency_ms < 10'",
        ),
        (
            {"constraints": ["latency_ms <= ten"]},
            "a constraint reads NAME <= NUMBER .*; got 'latency_ms <= ten'",
        ),
        ({"constraints": ["latency_ms <= inf"]}, "a constraint reads NAME <= NUMBER"),
        (
            {"constraints": ["latency <= 10"]},
            "names 'latency'; known: parameters_million, .*did you mean 'latency_ms'",
        ),
        ({"sampler": "bayes"}, "sampler must be one of 'tpe', 'random', 'grid'.*got 'bayes'"),
        (
            {"sampler": {"rule": "grid", "grid_points": 1}},
            "sampler.grid_points must be at least 2, got 1",
        ),
        (
            {"sampler": "cma_es", "objective": [{"metric": "kappa"}, {"metric": "latency_ms"}]},
            "sampler cma_es takes one objective, got 2; use tpe, nsga2 or gp",
        ),
        (
            {"search_storage": "redis://me:secret@host"},
            r"search_storage takes a database URL, .*got 'redis://me:\*\*\*@host'",
        ),
        ({"search_storage": "sqlite://"}, "names no file, so nothing would outlive the process"),
        ({"search_storage": "sqlite:///:memory:"}, "names no file"),
        ({"early_stopping": "bands"}, "early_stopping must be one of 'asha'.*got 'bands'"),
        (
            {"resources": {"gpus_per_trial": -1}},
            "gpus_per_trial must be auto, 0, a share .* from 0.01 to 1, or whole GPUs.*got -1",
        ),
        (
            {"resources": {"gpus_per_trial": 1.5}},
            "gpus_per_trial must be auto, 0, a share .* from 0.01 to 1, or whole GPUs.*got 1.5",
        ),
        (
            {"resources": {"gpus_per_trial": 2}},
            "cpus_per_trial must be at least gpus_per_trial, as each GPU has a process .*got 1 for 2",
        ),
        (
            {"resources": {"gpus_per_trial": 0, "gpu_kind": "H100"}},
            "resources.gpu_kind is H100, but resources.gpus_per_trial is 0; drop the kind, or give",
        ),
        ({"resources": {"gpu_kind": "H 100"}}, "resources.gpu_kind"),
        (
            {"resources": {"gpus_per_trial": 0.001}},
            "gpus_per_trial must be auto, 0, a share .* from 0.01 to 1, or whole GPUs.*got 0.001",
        ),
        (
            {"resources": {"gpus_per_trial": float("nan")}},
            "gpus_per_trial must be auto, 0, a share .* from 0.01 to 1, or whole GPUs.*got nan",
        ),
        ({"seed": "x"}, "seed must be a whole number, got 'x'"),
    ],
)
def test_impossible_specs_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        StudySpec.parse({**MINIMAL, **change})


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        StudySpec.parse({"study": "s", "budget": {"trials": 0}, "sed": 1})
    assert len(str(caught.value).splitlines()) == 3
    assert "dataset is missing" in str(caught.value)


def test_every_mistake_stands_with_its_file_and_line(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """study: s
dataset: digits
objective: {metric: f1}
budget:
  trials: true
  trails: 3
fix:
  dropout: [0.5]
start_from:
  - fer-r18-freeze-l1
  - {learning_rate: [1]}
confirm: {top: 1000}
""",
    )
    with pytest.raises(SpecError) as caught:
        StudySpec.read(file)
    places = [line.partition(": ")[0] for line in str(caught.value).splitlines()]
    assert places == [f"{file}:{line}" for line in (3, 5, 6, 8, 11, 12)]


def test_a_contradiction_between_keys_stands_with_its_line_too(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "study: s\ndataset: digits\nbudget:\n  trials: 2\n  target: 7\nconfirm:\n  seeds: 2\n  top: 3\n",
    )
    with pytest.raises(SpecError) as caught:
        StudySpec.read(file)
    target, confirm = str(caught.value).splitlines()
    assert target == f"{file}:5: budget.target must lie in [0, 1], as macro_f1 does, got 7"
    assert confirm.startswith(f"{file}:8: confirm.top is 3 but budget.trials is 2")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fix", {"flip_probability": [0.5]}),
        ("narrow", {"flip_probability": [[0.5], 1]}),
        ("start_from", [{"flip_probability": [0.5]}]),
        ("extend", {"dropout": {"choice": [[1], 2]}}),
        ("extend", {"dropout": {"float": [0, 1], "when": {"head": {"nor": "mlp"}}}}),
        ("resources", {"gpus_per_trial": "all"}),
        ("constraints", [5]),
        ("objective", "accuracy"),
        ("sampler", 5),
    ],
)
def test_one_mistake_is_one_line_and_names_no_type_of_python(key: str, value: object) -> None:
    with pytest.raises(SpecError) as caught:
        StudySpec.parse({**MINIMAL, key: value})
    (line,) = str(caught.value).splitlines()
    assert line.startswith((key, "a constraint"))
    assert not re.search(
        r"\b(str|int|float|bool|dict|tuple|list\[|input should|valid)\b", line.partition("got ")[0]
    )


def test_a_long_value_does_not_fill_the_screen() -> None:
    with pytest.raises(SpecError) as caught:
        StudySpec.parse({**MINIMAL, "seed": "x" * 5000, "y" * 5000: 1, "fix": {"dropout": [0] * 5000}})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 500


def test_no_key_is_a_union_and_every_number_is_bounded() -> None:
    """What pydantic reads as one of several types is refused with a line for each of them."""
    schemas = list(read_by(StudySpec.__pydantic_core_schema__))
    assert "union" not in {schema.get("type") for schema in schemas}
    numbers = [schema for schema in schemas if schema.get("type") in ("int", "float")]
    assert len(numbers) > 20
    for schema in numbers:
        assert schema.keys() & {"ge", "gt"}, schema
        assert schema.keys() & {"le", "lt"}, schema


def read_by(schema: object) -> Iterator[dict[str, Any]]:
    """All parts of a schema by which pydantic reads."""
    if isinstance(schema, dict):
        yield schema
        for key, part in schema.items():
            if key not in ("serialization", "metadata"):
                yield from read_by(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from read_by(part)


BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(97 + i)}: &{chr(97 + i)} [*{chr(96 + i)}, *{chr(96 + i)}]\n" for i in range(1, 20)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b", "a study file is a mapping of keys to values, got a list"),
        ("", "got an empty file"),
        ("just words", "got text"),
        ("study: [", "not YAML: line 1"),
        ("study: a\nstudy: b", "the key 'study' occurs twice"),
        ("1: a", "keys are words, got 1"),
        (BOMB, r"anchors and aliases \(& and \*\) are not read"),
        ("[" * 5000, "not YAML"),
        ("x: " + "y" * 2_000_000, "at most 1,000,000 bytes"),
        ("[" * 100_000, "nested at most 20 deep"),
        ("\n".join(f"k{i}: 1" for i in range(80_000)), "at most 10,000 keys and values"),
        ("x: !!python/object/apply:os.system [true]", "tags are not read"),
        ("study: !!binary aGVsbG8=", "line 1, column 8: tags are not read"),
        (b"study: \xff\xfe", "at character 8 is no text; save the file as UTF-8"),
        ("\x00\x01", "not YAML"),
    ],
)
def test_files_that_no_person_meant_are_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        StudySpec.read(write(tmp_path, text))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("budget: {trials: true}", "budget.trials must be a whole number, got True"),
        ("budget: {trials: '5'}", "budget.trials must be a whole number, got '5'; write it without quotes"),
        ("budget: {trials: 12:30:45}", "budget.trials must be a whole number, got '12:30:45'"),
        ("budget: {epochs: 017}", "budget.epochs must be a whole number, got '017'"),
        ("budget: {epochs: 0x1F}", "budget.epochs must be a whole number, got '0x1F'"),
        ("budget: {epochs: 1_000}", "budget.epochs must be a whole number, got '1_000'"),
        ("budget: {epochs: 1e2}", "budget.epochs must be a whole number, got 100.0; write 100"),
        ("budget: {hours: .inf}", "budget.hours must be a finite number, got inf"),
        ("budget: {hours: 5e-324}", "budget.hours must be at least 0.001"),
        ("budget: {target: .nan}", "budget.target must be a finite number, got nan"),
        ("budget: {target: 2}", r"budget.target must lie in \[0, 1\], as macro_f1 does, got 2"),
        ("promotion: {minimum_gain: .nan}", "promotion.minimum_gain must be a finite number"),
        ("promotion: {minimum_gain: 2}", r"promotion.minimum_gain must lie in \[-1, 1\]"),
        ("early_stopping: {rule: pbt, interval: 5e-324}", "early_stopping.interval must be at least 0.001"),
        (
            "early_stopping: {min_trials: 1" + "0" * 30 + "}",
            "early_stopping.min_trials must be a whole number",
        ),
        ("resources: {max_concurrent: 1" + "0" * 17 + "}", "resources.max_concurrent must be at most 100000"),
        ("seed: " + "9" * 5000, "seed must be a whole number, got inf"),
        ("constraints: [accuracy >= 2]", r"kept by all or by none, as accuracy lies in \[0, 1\]"),
        ("fix: {learning_rate: .inf}", "fix.learning_rate must be a number from"),
        ("fix: {learning_rate: 1e300}", "fix.learning_rate must be a number from"),
        ("study: 5", "study must be text, got 5; put it in quotes: '5'"),
    ],
)
def test_what_is_no_number_is_not_taken_for_one(tmp_path: Path, written: str, message: str) -> None:
    head = "dataset: digits\n" + ("" if written.startswith("study") else "study: s\n")
    with pytest.raises(SpecError, match=message) as caught:
        StudySpec.read(write(tmp_path, head + written))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda file: file.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "study.yaml")
    with pytest.raises(SpecError, match="it is a folder, a pipe or a device"):
        StudySpec.read(tmp_path / "study.yaml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nothing.yaml: cannot be read: No such file"):
        StudySpec.read(tmp_path / "nothing.yaml")


def test_extra_dimensions() -> None:
    spec = StudySpec.parse(
        {**MINIMAL, "extend": {"fill": {"choice": ["zeros", "border"], "when": {"weights": {"not": "none"}}}}}
    )
    assert spec.extend["fill"].dimension("fill") == Choice(
        name="fill", options=("zeros", "border"), when={"weights": none_of("none")}
    )
    with pytest.raises(SpecError, match=r"extend\.x needs exactly one of float, int, choice; got float, int"):
        StudySpec.parse({**MINIMAL, "extend": {"x": {"float": [0, 1], "int": [0, 1]}}}).extend["x"].dimension(
            "x"
        )
    with pytest.raises(SpaceError, match="needs low <= high"):
        StudySpec.parse({**MINIMAL, "extend": {"x": {"float": [1, 0]}}}).extend["x"].dimension("x")


def test_several_objectives_and_what_they_are_measured_by() -> None:
    spec = StudySpec.parse(
        {
            **MINIMAL,
            "objective": [{"metric": "macro_f1"}, {"metric": "latency_ms"}],
            "constraints": ["kappa >= 0.5"],
        }
    )
    assert [objective.maximise for objective in spec.objectives] == [True, False]
    assert spec.objective == spec.objectives[0]
    assert spec.constraints == (Constraint(name="kappa", relation=">=", bound=0.5),)
    assert StudySpec.parse(MINIMAL).objective.metric == "macro_f1"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ({"metric": "kappa"}, {"metric": "kappa"}),
        ([{"metric": "kappa"}], {"metric": "kappa"}),
        ([{"metric": "kappa"}, {"metric": "latency_ms"}], [{"metric": "kappa"}, {"metric": "latency_ms"}]),
    ],
)
def test_objectives_are_written_as_a_person_writes_them(written: object, kept: object) -> None:
    assert StudySpec.parse({**MINIMAL, "objective": written}).to_dict()["objective"] == kept


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("tpe", "tpe"),
        ({"rule": "gp"}, "gp"),
        ("grid", {"rule": "grid", "grid_points": 5}),
        ({"rule": "grid", "grid_points": 3},) * 2,
    ],
)
def test_samplers_are_written_as_a_person_writes_them(written: object, kept: object) -> None:
    spec = StudySpec.parse({**MINIMAL, "sampler": written})
    assert spec.to_dict()["sampler"] == kept
    assert StudySpec.parse(spec.to_dict()) == spec


NUMBERS = st.floats(1e-8, 1e8)
SHARES = st.floats(0, 1)


def is_unique(names: list[str]) -> bool:
    return len(set(names)) == len(names)


@given(
    trials=st.integers(1, 10_000),
    hours=st.none() | st.floats(0.001, 1e5),
    fix=st.dictionaries(
        st.sampled_from(["dropout", "batch_size", "weights"]),
        st.integers(0, 100) | NUMBERS | st.sampled_from(["none", "no", "1e-4", "", "ü: #"]) | st.booleans(),
    ),
    bounds=st.tuples(NUMBERS, NUMBERS).map(sorted),
    seed=st.integers(0, 2**31 - 1),
    objectives=st.lists(st.sampled_from([*METRICS, *MEASURES]), unique=True)
    .map(lambda names: ["kappa", *names])
    .filter(is_unique),
    constraints=st.lists(
        st.builds("{} {} {}".format, st.sampled_from([*MEASURES]), st.sampled_from(["<=", ">="]), NUMBERS)
        | st.builds("{} {} {}".format, st.sampled_from([*METRICS]), st.sampled_from(["<=", ">="]), SHARES)
    ),
    sampler=st.sampled_from(["tpe", "random", "nsga2", {"rule": "grid", "grid_points": 7}]),
)
def test_a_spec_written_out_reads_back_as_it_was(  # type: ignore[no-untyped-def]
    tmp_path_factory, trials, hours, fix, bounds, seed, objectives, constraints, sampler
) -> None:
    spec = StudySpec.parse(
        {
            **MINIMAL,
            "fix": fix,
            "narrow": {"learning_rate": bounds},
            "extend": {"dropout": {"float": bounds, "log": True, "when": {"optimizer": ["sgd", "adam"]}}},
            "budget": {"trials": trials, "hours": hours},
            "seed": seed,
            "objective": [{"metric": name} for name in objectives],
            "constraints": constraints,
            "sampler": sampler,
            "search_storage": "postgresql://me:secret@host/optuna",
        }
    )
    file = tmp_path_factory.mktemp("specs") / "study.yaml"
    write_yaml(file, spec.to_dict())
    assert StudySpec.read(file) == spec
    assert spec.to_public_dict() == {**spec.to_dict(), "search_storage": "postgresql://me@host/optuna"}
    dimension = spec.extend["dropout"].dimension("dropout")
    assert isinstance(dimension, Float)
    assert [dimension.low, dimension.high] == bounds
