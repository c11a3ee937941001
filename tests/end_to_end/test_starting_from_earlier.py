"""What a finished study leaves in MLflow is enough to start another one from it."""

from finished_study import Finished

from study.planning.earlier_starts import earlier_sentences
from study.planning.plan import plan_study
from study.study_file.study_spec import StudySpec


def test_the_best_of_a_finished_study_come_first(finished: Finished) -> None:
    tree = {
        "study": "next",
        "dataset": "digits",
        "search_space": "digits",
        "start_from": [{"best": 2}],
        "budget": {"trials": 4},
    }
    plan = plan_study(StudySpec.parse(tree), finished.home)
    complete = [trial for trial in finished.result.leaderboard if trial.state == "complete"]
    assert [one.trial.number for one in plan.earlier.used] == [trial.number for trial in complete[:2]]
    for found, trial in zip(plan.earlier.used, complete, strict=False):
        assert found.start.point == trial.point
        assert found.trial.value == trial.value
        assert found.trial.similarity == 1
    assert all(sentence.startswith("starts from trial-") for sentence in earlier_sentences(plan.earlier)[:1])
