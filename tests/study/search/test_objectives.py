"""Several objectives, constraints and measures: what samplers learn of them, which trials are the best, and
how it is shown.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tabulated import CONDITIONAL, end_trial, make_record, run_trials

from search_spaces.dimensions import Choice, Float
from search_spaces.space import Point, SearchSpace
from study.cli.reports.pareto_picture import HEIGHT, WIDTH, front_picture
from study.cli.reports.study_tables import print_result
from study.results.study_result import StudyResult
from study.search.record.imputation import imputed
from study.search.record.objectives import Objectives
from study.search.record.pareto import pareto_front
from study.search.record.study_record import StudyRecord
from study.search.record.trial import End, Trial
from study.study_file.constraint import Constraint
from study.study_file.objective import Objective
from study.yaml_file import write_yaml

TWO = ("accuracy", "latency_ms")
WIDTHS = SearchSpace(
    name="widths",
    about="",
    dimensions=(Float(name="width", low=0.0, high=10.0), Choice(name="optimizer", options=("sgd", "adam"))),
)


def begin(record: StudyRecord) -> int:
    asked = record.ask(CONDITIONAL, seed=0)
    assert asked is not None
    return asked[0]


def measured(point: Point) -> dict[str, float]:
    return {"latency_ms": 1 + float(point.get("dropout", 0.0)) * 20, "parameters_million": 3.0}


@pytest.mark.parametrize("rule", ["tpe", "nsga2", "random", "quasi_random", "grid"])
def test_a_study_of_two_objectives_runs_and_reopens(tmp_path: Path, rule: str) -> None:
    record = make_record(tmp_path, *TWO, rule=rule)
    points = run_trials(record, CONDITIONAL, 12, measure=measured) + run_trials(
        StudyRecord.open(tmp_path), CONDITIONAL, 1
    )
    assert len(points) == 13
    record = StudyRecord.open(tmp_path)
    first = record.trials[0]
    assert first.objectives == {"accuracy": first.value, "latency_ms": measured(first.point)["latency_ms"]}
    best = record.best()
    assert best is not None
    assert best.value == max(trial.value or 0.0 for trial in record.trials if trial.state == "complete")
    assert record._trials.frozen(0).values == list(first.objectives.values())
    assert record._trials.frozen(3).values is None, "stopped early: no value is made up"


def test_the_gaussian_process_takes_two_objectives_and_a_constraint(tmp_path: Path) -> None:
    record = make_record(tmp_path, *TWO, rule="gp", constraints=["latency_ms <= 8"])
    assert len(run_trials(record, CONDITIONAL, 12, measure=measured)) == 12


def test_a_complete_trial_that_lacks_an_objective_is_failed(tmp_path: Path) -> None:
    record = make_record(tmp_path, *TWO)
    number = begin(record)
    end_trial(record, number, 0.5)
    assert (record.trial(number).state, record.trial(number).reason) == (
        "failed",
        "it ended without latency_ms, which the study optimises",
    )
    number = begin(record)
    end_trial(record, number, latency_ms=2.0)
    assert record.trial(number).reason == "it ended without accuracy, which the study optimises"


def test_training_time_needs_no_measuring(tmp_path: Path) -> None:
    record = make_record(tmp_path, "accuracy", "train_seconds", constraints=["train_seconds <= 2"])
    for values in ((0.5,), (0.4, 0.5, 0.6)):
        end_trial(record, begin(record), *values)
    assert [trial.objectives["train_seconds"] for trial in record.trials] == [1.0, 3.0]
    assert [trial.is_feasible for trial in record.trials] == [True, False]


@pytest.mark.parametrize(
    ("text", "value", "violation"),
    [
        ("latency_ms <= 10", 12.5, 2.5),
        ("latency_ms <= 10", 8.0, -2.0),
        ("accuracy>=0.9", 0.8, 0.1),
        (" kappa  >=  -1e-1 ", 0.1, -0.2),
    ],
)
def test_how_far_a_bound_is_missed(text: str, value: float, violation: float) -> None:
    constraint = Constraint.parse(text)
    assert constraint.violation(value) == pytest.approx(violation)
    assert Constraint.parse(str(constraint)) == constraint


def test_the_best_misses_no_constraint(tmp_path: Path) -> None:
    record = make_record(tmp_path, constraints=["parameters_million <= 5", "log_loss <= 0.8"])
    for value, parameters in ((0.9, 6.0), (0.5, 5.0), (0.1, 1.0)):
        end_trial(record, begin(record), value, parameters_million=parameters)
    end_trial(record, begin(record), 0.95)
    assert [trial.is_feasible for trial in record.trials] == [False, True, False, False], (
        "nothing is known of the last one's parameters"
    )
    assert record.trials[0].violations == {
        "parameters_million <= 5.0": pytest.approx(1.0),
        "log_loss <= 0.8": pytest.approx(-0.7),
    }
    best = record.best()
    assert best is not None
    assert best.number == 1
    assert [trial.number for trial in record.leaderboard()] == [1, 3, 0, 2]
    assert dict(record._trials.frozen(0).constraints) == record.trials[0].violations, (
        "as Optuna's samplers look for them"
    )


def test_where_all_miss_a_constraint_none_is_the_best(tmp_path: Path) -> None:
    record = make_record(tmp_path, constraints=["parameters_million <= 5"])
    end_trial(record, begin(record), 0.9, parameters_million=6.0)
    end_trial(record, begin(record), 0.9, state="pruned", parameters_million=6.0)
    assert record.best() is None


def num_kept(folder: Path, rule: str) -> int:
    """Of 20 draws after the first 20, how many keep a bound that the objective works against."""
    record = make_record(folder, rule=rule, constraints=["parameters_million <= 2"])
    kept = []
    for _ in range(40):
        number, point = record.ask(WIDTHS, seed=1) or pytest.fail("there is room")
        width = float(point["width"])
        end_trial(record, number, width / 10, parameters_million=width)
        kept.append(width <= 2)
    return sum(kept[20:])


def test_tpe_learns_a_constraint(tmp_path: Path) -> None:
    """A fifth of the space keeps it. Over six seeds, TPE kept it in 59 of 120 draws, chance in 24."""
    assert num_kept(tmp_path / "tpe", "tpe") >= 2 * num_kept(tmp_path / "random", "random")


def num_trained(folder: Path, end: End) -> int:
    """Of 15 draws after the first 15, how many can be trained where wider is better but wide networks come to
    `end`.
    """
    record = make_record(folder)
    trained = []
    for _ in range(30):
        number, point = record.ask(WIDTHS, seed=1) or pytest.fail("there is room")
        width = float(point["width"])
        end_trial(
            record, number, *([width / 10] if width <= 2 else []), state="complete" if width <= 2 else end
        )
        trained.append(width <= 2)
    return sum(trained[15:])


def test_tpe_learns_what_cannot_be_trained(tmp_path: Path) -> None:
    """Of failed trials nothing is learned: their fault may lie elsewhere."""
    assert num_trained(tmp_path / "infeasible", "infeasible") >= 2 * num_trained(
        tmp_path / "failed", "failed"
    )


def test_what_a_sampler_that_knows_no_early_stopping_sees(tmp_path: Path) -> None:
    record = make_record(tmp_path, *TWO, constraints=["latency_ms <= 5"])
    for state, values, latency in (
        ("complete", (0.5,), 2.0),
        ("complete", (0.9,), 9.0),
        ("pruned", (0.3, 0.2), 3.0),
        ("failed", (0.4,), 1.0),
        ("infeasible", (), None),
    ):
        end_trial(
            record,
            begin(record),
            *values,
            state=state,
            **({} if latency is None else {"latency_ms": latency}),
        )  # type: ignore[arg-type]
    begin(record)
    objectives = Objectives(
        tuple(Objective(metric=name) for name in TWO), (Constraint.parse("latency_ms <= 5"),)
    )
    seen = imputed(record._trials.past(), objectives, takes_constraints=True)
    assert [frozen.number for frozen in seen] == [0, 1, 2, 4, 5]
    assert [frozen.values for frozen in seen] == [[0.5, 2.0], [0.9, 9.0], [0.3, 3.0], [0.3, 9.0], None]
    assert [dict(frozen.constraints) for frozen in seen[:4]] == [
        {"latency_ms <= 5.0": -3.0, "infeasible": 0.0},
        {"latency_ms <= 5.0": 4.0, "infeasible": 0.0},
        {"latency_ms <= 5.0": -2.0, "infeasible": 0.0},
        {"latency_ms <= 5.0": 0.0, "infeasible": 1.0},
    ]
    blind = imputed(record._trials.past(), objectives, takes_constraints=False)
    assert [frozen.values for frozen in blind][:4] == [[0.5, 2.0], [0.3, 9.0], [0.3, 3.0], [0.3, 9.0]]
    assert record._trials.frozen(4).values is None, "what is stored stays as it was"


def trial(number: int, values: Sequence[float | None], names: Sequence[str], **changes: object) -> Trial:
    given = {
        "number": number,
        "state": "complete",
        "point": {},
        "origin": None,
        "values": {1: values[0]},
        "best_epoch": 1,
        "value": values[0],
        "metrics": {},
        "measures": {},
        "objectives": dict(zip(names, values, strict=True)),
        "violations": {},
        "seconds": 1.0,
        "run_id": None,
        "reason": None,
        "retries": (),
        "facts": {},
        "ended": None,
    }
    return Trial(**{**given, **changes})  # type: ignore[arg-type]


THREE = ("accuracy", "latency_ms", "parameters_million")
SIGNS = (1, -1, -1)
FEW = st.sampled_from([0.0, 1.0, 2.0, 3.0])


@given(
    st.lists(st.tuples(FEW, FEW, FEW, st.booleans(), st.sampled_from(["complete", "pruned"])), max_size=20)
)
def test_the_front_against_an_independent_account(rows: list[tuple[float, float, float, bool, str]]) -> None:
    trials = [
        trial(i, row[:3], THREE, state=row[4], violations={} if row[3] else {"x": 1.0})
        for i, row in enumerate(rows)
    ]
    candidates = [
        (i, [sign * value for sign, value in zip(SIGNS, row[:3], strict=True)])
        for i, row in enumerate(rows)
        if row[3]
    ]
    candidates = [(i, gains) for i, gains in candidates if rows[i][4] == "complete"]
    expected = {
        i
        for i, gains in candidates
        if not any(
            all(o >= g for o, g in zip(other, gains, strict=True)) and other != gains
            for _, other in candidates
        )
    }
    front = pareto_front(trials, [Objective(metric=name) for name in THREE])
    assert {member.number for member in front} == expected
    assert [member.value for member in front] == sorted((member.value for member in front), reverse=True)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1e-3, 1e6)), min_size=1, max_size=40))
def test_the_picture_has_every_member_of_the_front(rows: list[tuple[float, float]]) -> None:
    trials = [trial(i, row, TWO) for i, row in enumerate(rows)]
    objectives = [Objective(metric=name) for name in TWO]
    front = pareto_front(trials, objectives)
    lines = front_picture(trials, front, objectives).plain.split("\n")
    canvas = [line.split("┤")[1] for line in lines[1 : HEIGHT + 1]]
    assert {len(line) for line in canvas} == {WIDTH}
    assert 1 <= sum(line.count("●") for line in canvas) <= len(front)
    assert "●" in next(line for line in canvas if line.strip()), "the best of the first objective is on top"
    assert lines[0].strip() == "accuracy (more is better)"
    assert "latency_ms (less is better)" in lines[HEIGHT + 3]


@pytest.fixture
def shown(tmp_path: Path) -> StudyResult:
    """A study of two objectives on disk, read back."""
    folder = tmp_path / "s"
    record = make_record(folder, *TWO, constraints=["latency_ms <= 8"])
    for value, latency in ((0.5, 2.0), (0.9, 6.0), (0.4, 3.0), (0.99, 9.0), (0.7, 4.0)):
        end_trial(record, begin(record), value, latency_ms=latency)
    end_trial(record, begin(record), state="infeasible")
    spec = {
        "study": "s",
        "dataset": "digits",
        "objective": [{"metric": name} for name in TWO],
        "constraints": ["latency_ms <= 8"],
    }
    write_yaml(folder / "study.yaml", spec)
    return StudyResult.read(folder)


def test_a_result_has_the_front(shown: StudyResult, capsys: pytest.CaptureFixture[str]) -> None:
    assert [member.number for member in shown.pareto] == [1, 4, 0]
    assert shown.best is not None
    assert shown.best.number == 1
    print_result(shown, as_json=True)
    tree = json.loads(capsys.readouterr().out)
    assert tree["pareto"] == [1, 4, 0]
    assert tree["objectives"] == ["accuracy", "latency_ms"]
    assert tree["infeasible"] == [{"trial": 5, "reason": "because"}]
    assert tree["leaderboard"][0]["objectives"] == {"accuracy": 0.9, "latency_ms": 6.0}
    assert [row["feasible"] for row in tree["leaderboard"]] == [True] * 4 + [False]
    assert list(shown.to_frame()["latency_ms"]) == [6.0, 4.0, 2.0, 3.0, 9.0]


def test_what_a_person_sees_of_the_front(shown: StudyResult, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(
        "study.cli.reports.study_tables.console", lambda: Console(file=out, width=200, highlight=False)
    )
    print_result(shown)
    text = out.getvalue()
    lines = text.split("\n")
    assert "latency_ms" in lines[2]
    assert [line.split("trial-")[0].strip() for line in lines[3:8]] == ["1 ●", "2 ●", "3 ●", "4", "5"]
    assert "complete, misses a constraint" in lines[7]
    assert "trial-0005 infeasible: because" in text
    assert "accuracy (more is better)" in text
    picture = [line for line in lines if "┤" in line]
    assert sum(line.count("●") for line in picture) == 3
    assert sum(line.count("·") for line in picture) == 1


def test_one_objective_has_no_front(tmp_path: Path) -> None:
    record = make_record(tmp_path)
    end_trial(record, begin(record), 0.5)
    write_yaml(tmp_path / "study.yaml", {"study": "s", "dataset": "digits"})
    assert StudyResult.read(tmp_path).pareto == ()
