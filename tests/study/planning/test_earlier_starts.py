"""The best configurations of earlier studies, found in a real MLflow, are tried first, or it is said why
not.
"""

from pathlib import Path
from typing import Any

import pytest
from earlier_studies import POINT, earlier_study, traits_of
from fresh_homes import FreshHomes

from study.driver.running import _start
from study.errors import SpecError
from study.home import Home
from study.planning.earlier_starts import earlier_sentences
from study.planning.plan import Plan, plan_study
from study.recipes.point import NAMES
from study.search.record.study_record import StudyRecord
from study.study_file.start_from import KEY
from study.study_file.study_spec import StudySpec


@pytest.fixture(scope="module")
def server(fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose MLflow holds studies on digits, on a dataset like it, and on one that is not."""
    home = fresh_homes.make(tmp_path_factory.mktemp("earlier"), with_digits=True)
    letters = traits_of(home, "letters", digest="l" * 64, num_classes=26)
    faces = traits_of(
        home, "faces", digest="f" * 64, num_images=28_709, side_pixels=48.0, num_classes=7, balance=0.93
    )
    earlier_study(home, "faces-a", [(0.6, {"learning_rate": 2e-3})], traits=faces)
    earlier_study(
        home,
        "letters-a",
        [(0.90, {"learning_rate": 4e-4}), (0.95, {"learning_rate": 0.5}), (0.93, {"learning_rate": 5e-4})],
        traits=letters,
    )
    earlier_study(home, "digits-a", [(0.98, {"dropout": 0.2}), (0.99, {}), (0.91, {"dropout": 0.3})])
    earlier_study(home, "digits-b", [(0.985, {"dropout": 0.25}), (0.97, {})], objective="accuracy")
    return home


def plan(home: Home, *start_from: Any, **changes: Any) -> Plan:
    tree = {
        "study": "new",
        "dataset": "digits",
        "search_space": "digits",
        "budget": {"trials": 9, "epochs": 4},
    }
    return plan_study(StudySpec.parse({**tree, "start_from": list(start_from), **changes}), home)


def found(plan: Plan) -> list[tuple[str, int]]:
    return [(one.trial.study, one.trial.number) for one in plan.earlier.used]


def test_the_most_similar_dataset_comes_first_and_of_one_dataset_the_best(server: Home) -> None:
    made = plan(server, {"best": 6})
    assert found(made) == [
        ("digits-a", 1),
        ("digits-a", 0),
        ("digits-b", 0),
        ("digits-a", 2),
        ("letters-a", 2),
        ("letters-a", 0),
    ]
    similarities = [one.trial.similarity for one in made.earlier.used]
    assert similarities == sorted(similarities, reverse=True)
    assert similarities[0] == 1
    best = made.earlier.used[0]
    assert (best.trial.metric, best.trial.value) == ("macro_f1", 0.99)
    assert best.start.point["learning_rate"] == 1e-3, "a value keeps its type"
    assert made.starts[0].point["batch_size"] == 64


def test_a_study_with_another_objective_is_judged_at_its_last_epochs(server: Home) -> None:
    made = plan(server, {"best": 1, "studies": "digits-b"})
    assert (made.earlier.used[0].trial.metric, made.earlier.used[0].trial.value) == (
        "macro_f1 at its last epoch",
        0.975,
    )


def test_what_does_not_fit_is_listed_with_the_dimension_that_refuses_it(server: Home) -> None:
    made = plan(server, {"best": 2, "of": "letters"})
    assert found(made) == [("letters-a", 2), ("letters-a", 0)]
    used, _, unused = earlier_sentences(made.earlier)
    assert used.startswith(
        "starts from trial-0002 of letters-a on letters (similarity 0.71, macro_f1 0.9300, by ada): "
    )
    assert "learning_rate 0.0005" in used
    assert unused == (
        "not used: trial-0001 of letters-a on letters (similarity 0.71, macro_f1 0.9500, by ada), "
        "because learning_rate must lie in [0.0003, 0.03] log, got 0.5"
    )


def test_a_configuration_is_tried_once(server: Home) -> None:
    made = plan(server, POINT, {"best": 9, "of": ["digits"]})
    assert found(made) == [("digits-a", 0), ("digits-b", 0), ("digits-a", 2)]
    assert [one.reason for one in made.earlier.unused] == [
        "it is the configuration of start_from[0]",
        "it is the configuration of start_from[0]",
    ]
    assert made.earlier.missing == ("of the best 9 of digits of earlier studies, MLflow holds 3 to try",)


def test_what_the_study_fixes_holds_and_is_said(server: Home) -> None:
    made = plan(server, {"best": 1}, fix={"batch_size": 32})
    assert made.starts[0].point["batch_size"] == 32
    assert "where the study fixes batch_size (there: 64)" in earlier_sentences(made.earlier)[0]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"best": 3, "of": "letter"},
            "no earlier study of dataset 'letter'; there are: digits, faces, letters; did you mean 'letters'",
        ),
        (
            {"best": 3, "studies": ["digit-a"]},
            "no earlier study named 'digit-a'; there are: .*; did you mean 'digits-a'",
        ),
        ({"best": 0}, r"takes the best of earlier studies as \{best: 3\}, from 1 to 100, optionally with of"),
        ({"best": 3, "on": "digits"}, r"optionally with of: DATASET and studies: \[NAME, ...\], got .*'on'"),
        ({"best": 10}, "start_from names 8 points but budget.trials is 3"),
    ],
)
def test_what_cannot_be_meant_is_refused(server: Home, wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        plan(
            server,
            wanted,
            budget={"trials": 3, "epochs": 1},
            extend={"learning_rate": {"float": [1e-5, 1.0], "log": True}},
        )


def test_a_study_that_has_begun_keeps_what_it_found(server: Home, tmp_path: Path) -> None:
    (tmp_path / "datasets").symlink_to(server.datasets)
    (tmp_path / "mlflow.db").write_bytes((server.folder / "mlflow.db").read_bytes())
    home = Home(tmp_path)
    begun = plan(home, {"best": 2})
    _start(begun, 0)
    earlier_study(home, "digits-c", [(0.999, {"dropout": 0.15})])
    assert plan(home, {"best": 1}, study="other").earlier.used[0].trial.study == "digits-c"
    again = plan(home, {"best": 2})
    assert again.earlier == begun.earlier
    assert again.starts == begun.starts
    waiting = StudyRecord.open(begun.folder).trials
    assert [trial.origin for trial in waiting] == [
        "trial-0001 of digits-a on digits",
        "trial-0000 of digits-a on digits",
    ]


def test_an_mlflow_without_studies_says_so(mlflow_home: Home) -> None:
    made = plan(mlflow_home, {"best": 2})
    assert made.starts == ()
    assert earlier_sentences(made.earlier) == ("of the best 2 of earlier studies, MLflow holds 0 to try",)


def test_runs_that_do_not_say_enough_are_listed(mlflow_home: Home) -> None:
    earlier_study(mlflow_home, "copies", [(0.9, {})], tags={"study.continues": "3"})
    earlier_study(mlflow_home, "strange", [(0.8, {"dropout": [0.1]})])
    earlier_study(mlflow_home, "newer", [(0.7, {"sharpness": 0.1})])
    made = plan(mlflow_home, {"best": 3})
    assert [one.reason.split(";")[0] for one in made.earlier.unused] == [
        "it went on from trial 3, so its configuration alone does not explain its score",
        "its run does not say its configuration",
        "unknown dimension 'sharpness'",
    ]


def test_such_a_wish_cannot_be_taken_for_a_point() -> None:
    assert KEY not in NAMES
    spec = StudySpec.parse(
        {"study": "s", "dataset": "d", "start_from": [{"best": 3, "of": "d"}, {"dropout": 0.1}, "fer-small"]}
    )
    assert [type(item).__name__ for item in spec.start_from] == ["EarlierBest", "dict", "str"]
    assert StudySpec.parse(spec.to_dict()) == spec


def test_means_over_folds_are_not_ranked_among_values_of_the_validation_split(mlflow_home: Home) -> None:
    """A mean over folds is lower and steadier than the best of many values of one small split."""
    earlier_study(mlflow_home, "split", [(0.99, {"dropout": 0.2}), (0.97, {"dropout": 0.3})])
    earlier_study(mlflow_home, "folds", [(0.95, {"dropout": 0.15}), (0.98, {"dropout": 0.25})], num_folds=5)
    assert found(plan(mlflow_home, {"best": 4})) == [("split", 0), ("split", 1), ("folds", 1), ("folds", 0)]
    with_folds = plan(mlflow_home, {"best": 4}, validate={"folds": 5})
    assert found(with_folds) == [("folds", 1), ("folds", 0), ("split", 0), ("split", 1)]
    first, *_, last = earlier_sentences(with_folds.earlier)
    assert "macro_f1 0.9800 over 5 folds" in first
    assert "folds" not in last
