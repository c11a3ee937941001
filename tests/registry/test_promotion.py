"""Who becomes champion: refused, promoted, forced, rolled back, on real databases, by two people at once, and
all of it in the history.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from registering_tiny import Registry, add

from study.doctor.examination import examine
from study.errors import ConflictError, SpecError, UnknownModelError
from study.home import Home
from study.registry import promotion
from study.registry.aliases import lagging_aliases
from study.registry.decision_log import DecisionLog
from study.registry.promotion import (
    Outcome,
    adopt,
    alias_remarks,
    history,
    promote,
    rollback,
    versions_with_files,
)
from study.registry.versions import find_version, list_versions
from study.study_file.promotion_rules import PromotionRules
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import openings
from trainables.inference.classifier import Classifier


def aliases(registry: Registry) -> dict[str, int]:
    return {
        alias: int(number) for alias, number in registry.client.get_registered_model("digits").aliases.items()
    }


def test_worse_is_refused_better_promoted_and_taken_back(registry: Registry, classifier: Classifier) -> None:
    home = registry.home
    assert add(registry, classifier, 0.9) == 1
    first = promote(home, "digits", user="ann")
    assert first.comparison is None
    assert "there was no champion to compare with" in first.decision.evidence
    assert aliases(registry) == {"champion": 1, "candidate": 1}

    add(registry, classifier, 0.8)
    worse = promote(home, "digits", user="bob")
    assert worse.decision.kind == "refused"
    assert worse.comparison is not None
    assert "accuracy is worse by 0.1003" in worse.comparison.faults[0]
    assert aliases(registry) == {"champion": 1, "candidate": 2}

    add(registry, classifier, 0.97)
    num_openings = len(openings(home.datasets / "digits"))
    better = promote(home, "digits", user="bob")
    assert (better.decision.kind, better.decision.version, better.decision.champion_before) == (
        "promoted",
        3,
        1,
    )
    assert len(openings(home.datasets / "digits")) == num_openings, "kept evidence needs no opening"
    assert aliases(registry) == {"champion": 3, "previous": 1, "candidate": 3}

    forced = promote(home, "digits", 2, force=True, reason="the demo needs it", user="cleo")
    assert forced.decision.forced
    assert aliases(registry) == {"champion": 2, "previous": 3, "candidate": 3}
    assert rollback(home, "digits", reason="as was to be expected", user="ann").decision.version == 3
    assert aliases(registry) == {"champion": 3, "previous": 2, "candidate": 3}
    assert rollback(home, "digits", user="ann").decision.version == 1
    with pytest.raises(SpecError, match="digits cannot go back: version 1 is its first champion"):
        rollback(home, "digits")

    told = [
        (one.user, one.kind, one.champion_before, one.version, one.forced, one.reason)
        for one in history(home, "digits").decisions
    ]
    assert told == [
        ("ann", "promoted", None, 1, False, None),
        ("bob", "refused", 1, 2, False, None),
        ("bob", "promoted", 1, 3, False, None),
        ("cleo", "promoted", 3, 2, True, "the demo needs it"),
        ("ann", "rolled back", 2, 3, False, "as was to be expected"),
        ("ann", "rolled back", 3, 1, False, None),
    ]
    digits = registry.client.get_experiment_by_name("digits")
    newest_first = registry.client.search_runs([digits.experiment_id], order_by=["start_time DESC"])
    assert newest_first[-1].info.run_name == "decisions", (
        "MLflow's pages begin with a run that is no training"
    )
    assert "study history digits" in newest_first[-1].data.tags["mlflow.note.content"]
    tables = history(home, "digits").tables[better.decision.key]
    assert tables is not None
    assert tables["metrics"]["accuracy"] == [pytest.approx(0.9, abs=0.01), pytest.approx(0.97, abs=0.01)]


def test_comparisons_on_the_same_images_are_counted_and_later_ones_need_more(
    sqlite_registry: Registry, classifier: Classifier
) -> None:
    registry, home = sqlite_registry, sqlite_registry.home
    add(registry, classifier, 0.9)
    assert promote(home, "digits").use is None, "nothing was compared"
    card = registry.client.get_model_version("digits", "1").description
    assert "Before that, 2 comparisons of earlier versions decided on a promotion by these images." in card
    compared = []
    for share in (0.88, 0.87, 0.86):
        add(registry, classifier, share)
        compared.append(promote(home, "digits"))
    again = promote(home, "digits", 3)
    forced = promote(home, "digits", 4, force=True, reason="to see it")
    assert [one.comparison.number for one in (*compared, again, forced) if one.comparison] == [1, 2, 3, 2, 3]
    assert again.use is not None
    assert again.use.num_comparisons == 3
    assert again.use.num_openings == len(openings(home.datasets / "digits"))
    better = promote(home, "digits", add(registry, classifier, 0.97)).comparison
    assert better is not None
    assert (better.number, better.faults) == (4, ())
    assert better.needed_confidence == pytest.approx(1 - 0.05 * 4**-1.6 / 2.28577, abs=1e-7), (
        "a forced promotion frees nothing"
    )
    told, champion = history(home, "digits").use.sentences()
    assert "4 comparisons of versions; the next one needs 99.6 % confidence, so that all together" in told
    assert "digits/5, champion: accuracy better than that of digits/4 by 0.1086, at least by 0.0" in champion
    assert champion.endswith("with 99.8 % confidence, corrected for 4 comparisons")


def test_a_comparison_beside_which_another_one_was_refused_counts_it(
    sqlite_registry: Registry, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both had read the log before either decided, so both would have been the first comparison."""
    registry, home = sqlite_registry, sqlite_registry.home
    for share in (0.9, 0.8, 0.97):
        add(registry, classifier, share)
    promote(home, "digits", 1)
    judged = promotion.judge_subgroups

    def while_another_one_decides(*of_it: Any) -> Any:
        monkeypatch.setattr(promotion, "judge_subgroups", judged)
        assert promote(home, "digits", 2, user="bob").decision.kind == "refused"
        return judged(*of_it)

    monkeypatch.setattr(promotion, "judge_subgroups", while_another_one_decides)
    mine = promote(home, "digits", 3, user="ann")
    assert mine.comparison is not None
    assert mine.comparison.number == 2
    kept = history(home, "digits").tables[mine.decision.key]
    assert kept is not None
    assert kept["number"] == 2
    assert [one.user for one in history(home, "digits").decisions[1:]] == ["bob", "ann"]


def test_of_two_who_promote_at_once_one_is_told_who_won(registry: Registry, classifier: Classifier) -> None:
    home = registry.home
    for share in (0.7, 0.8, 0.9, 0.97):
        add(registry, classifier, share)
    together = Barrier(2)

    def decide(user: str, number: int) -> Outcome | ConflictError:
        together.wait()
        try:
            return promote(home, "digits", number, user=user)
        except ConflictError as error:
            return error

    for round_ in ((1, 2), (3, 4)):  # the log is made in the first round, and goes on in the second
        before = len(history(home, "digits").decisions)
        with ThreadPoolExecutor(2) as people:
            outcomes = list(people.map(decide, ("ann", "bob"), round_))
        (told,) = [one for one in outcomes if isinstance(one, ConflictError)] or [None]
        decided = [one for one in outcomes if isinstance(one, Outcome)]
        decisions = history(home, "digits").decisions[before:]
        # Whoever read after the other had decided was compared with that one, and nobody was overrun.
        assert len(decisions) == len(decided)
        for earlier, later in pairwise(decisions):
            assert later.champion_before == earlier.champion_after
        if told is not None:
            assert f"{decisions[0].user} promoted digits version {decisions[0].version}" in str(told)
        assert aliases(registry)["champion"] == decisions[-1].champion_after


def test_a_log_that_went_on_since_it_was_read_refuses_the_next_decision(
    registry: Registry, classifier: Classifier
) -> None:
    add(registry, classifier, 0.8)
    add(registry, classifier, 0.9)
    stale = DecisionLog.read(registry.client, registry.home, "digits")
    winner = promote(registry.home, "digits", 1, user="ann").decision
    mine = type(winner)(**{**vars(winner), "key": "another", "user": "bob", "version": 2})
    with pytest.raises(
        ConflictError,
        match=r"ann promoted digits version 1 at .*, while you decided; nothing of yours was done",
    ):
        stale.append(mine, None)
    assert stale.decisions == (winner,)
    (decision,) = history(registry.home, "digits").decisions
    assert decision == winner


def test_aliases_that_lag_behind_the_log_are_told_and_put_right_by_the_next_decision(
    sqlite_registry: Registry, classifier: Classifier
) -> None:
    registry = sqlite_registry
    add(registry, classifier, 0.8)
    add(registry, classifier, 0.97)
    promote(registry.home, "digits", 1)
    promote(registry.home, "digits", 2)
    # As where the process died between the log and the aliases.
    registry.client.set_registered_model_alias("digits", "champion", "1")
    registry.client.delete_registered_model_alias("digits", "previous")
    before = aliases(registry)
    (told,) = alias_remarks(registry.home)
    assert "by the decisions champion is digits/2, previous is digits/1" in told
    assert [version.number for version, _ in versions_with_files(registry.home, "digits")] == [2, 1]
    assert aliases(registry) == before, "reading changes nothing"
    with pytest.raises(SpecError, match="digits/2 is the champion already"):
        promote(registry.home, "digits", 2)
    assert aliases(registry) == {"champion": 2, "previous": 1, "candidate": 2}
    log = DecisionLog.read(registry.client, registry.home, "digits")
    assert lagging_aliases(log.decisions, list_versions(registry.client, "digits")) == {}


def test_a_champion_that_somebody_moved_in_mlflow_is_told_and_can_be_adopted(
    sqlite_registry: Registry, classifier: Classifier
) -> None:
    registry, home = sqlite_registry, sqlite_registry.home
    for share in (0.8, 0.97, 0.9):
        add(registry, classifier, share)
    promote(home, "digits", 1)
    promote(home, "digits", 2)
    with pytest.raises(SpecError, match="nothing to adopt"):
        adopt(home, "digits")
    registry.client.set_registered_model_alias("digits", "champion", "3")
    for _ in range(2):
        (told,) = alias_remarks(home)
        assert (
            "somebody made digits/3 the champion in MLflow's own pages; by the decisions it is version 2"
            in told
        )
        assert len(history(home, "digits").decisions) == 2
    assert aliases(registry)["champion"] == 3, "reading changes nothing"
    adopted = adopt(home, "digits", user="ann").decision
    assert (adopted.kind, adopted.version, adopted.champion_before, adopted.user) == ("adopted", 3, 2, "ann")
    assert alias_remarks(home) == ()
    assert aliases(registry) == {"champion": 3, "previous": 2, "candidate": 3}
    registry.client.set_registered_model_alias("digits", "champion", "1")
    assert rollback(home, "digits").decision.version == 2
    assert aliases(registry)["champion"] == 2, "a decision puts the alias back"


def test_rules_of_the_study_file_refuse(sqlite_registry: Registry, classifier: Classifier) -> None:
    registry = sqlite_registry
    add(registry, classifier, 0.9)
    promote(registry.home, "digits")
    add(
        registry,
        classifier,
        0.93,
        rules=PromotionRules(minimum_gain=0.05, max_latency_ms=1.0),
        latency_ms=2.5,
    )
    refused = promote(registry.home, "digits")
    assert refused.comparison is not None
    gain, latency = refused.comparison.faults
    assert "accuracy is better by 0.0306, and the gain must be more than 0.05 (minimum_gain)" in gain
    assert latency == "one image takes 2.50 ms, more than 1 (max_latency_ms)"


def test_what_cannot_be_decided(sqlite_registry: Registry, classifier: Classifier) -> None:
    registry = sqlite_registry
    with pytest.raises(UnknownModelError, match=r"there are no models in .* yet"):
        promote(Home(registry.home.folder / "empty"), "digits")
    add(registry, classifier, 0.9)
    with pytest.raises(
        UnknownModelError, match="unknown model 'digit'; known: digits; did you mean 'digits'"
    ):
        promote(registry.home, "digit")
    with pytest.raises(UnknownModelError, match="model 'digits' has no version 7; it has 1"):
        promote(registry.home, "digits", 7)
    with pytest.raises(SpecError, match="add --reason"):
        promote(registry.home, "digits", force=True)
    with pytest.raises(SpecError, match="digits cannot go back: it has no champion"):
        rollback(registry.home, "digits")
    promote(registry.home, "digits")
    with pytest.raises(SpecError, match="digits/1 is the champion already"):
        promote(registry.home, "digits", 1)
    with pytest.raises(
        SpecError,
        match="digits has no candidate: its newest version, 1, was promoted before and is the champion",
    ):
        promote(registry.home, "digits")


def test_another_version_of_the_dataset_is_measured_again(
    sqlite_registry: Registry, classifier: Classifier
) -> None:
    registry = sqlite_registry
    registry.add(classifier)
    promote(registry.home, "digits")
    registry.add(classifier, dataset_digest="f" * 64)
    num_openings = len(openings(registry.home.datasets / "digits"))
    refused = promote(registry.home, "digits")
    assert refused.comparison is not None
    assert refused.comparison.gain == 0
    assert "accuracy is the same" in refused.comparison.faults[0]
    assert "both were measured on the test split of the dataset as it is now" in refused.decision.evidence[-1]
    assert len(openings(registry.home.datasets / "digits")) == num_openings + 1
    assert "comparison of digits/1 with digits/2" in openings(registry.home.datasets / "digits")[-1].opened_by


def test_other_classes_do_not_compare(sqlite_registry: Registry, classifier: Classifier) -> None:
    registry = sqlite_registry
    registry.add(classifier)
    promote(registry.home, "digits")
    registry.add(classifier, dataset_digest="f" * 64)
    merged = {"low": tuple("01234"), "high": tuple("56789")}
    add_dataset(registry.home.datasets, "digits", None, AddOptions(relabel=merged, replace=True))
    refused = promote(registry.home, "digits").decision
    assert refused.kind == "refused"
    assert "cannot be measured again: digits/1 knows the classes 0, 1, 2" in refused.evidence[0]
    assert promote(registry.home, "digits", force=True, reason="seen by eye").decision.kind == "promoted"


def test_a_champion_that_is_gone_is_passed_over(sqlite_registry: Registry, classifier: Classifier) -> None:
    registry = sqlite_registry
    for share in (0.8, 0.9, 0.97):
        promote(registry.home, "digits", add(registry, classifier, share))
    registry.client.delete_model_version("digits", "2")
    back = rollback(registry.home, "digits").decision
    assert back.version == 1
    assert back.evidence == ("versions 2 are gone from MLflow, and were passed over",)


def test_a_version_is_found_by_each_of_its_names(sqlite_registry: Registry, classifier: Classifier) -> None:
    registry, client = sqlite_registry, sqlite_registry.client
    for share in (0.8, 0.9):
        add(registry, classifier, share)
    assert find_version(client, "digits").number == 2, "the newest where there is no champion"
    promote(registry.home, "digits", 1)
    for name in ("digits", "digits/1", "digits@champion", "models:/digits/1", "models:/digits@champion"):
        assert find_version(client, name).number == 1
    for name, message in (
        ("digits/9", "no version '9'; it has 2@candidate, 1@champion"),
        ("digits@best", "no version '@best'"),
    ):
        with pytest.raises(UnknownModelError, match=message):
            find_version(client, name)


def test_a_decision_fits_into_a_parameter(sqlite_registry: Registry, classifier: Classifier) -> None:
    registry = sqlite_registry
    add(registry, classifier, 0.9)
    long = "ä" * 500
    decision = promote(registry.home, "digits", reason=long).decision
    assert json.loads(decision.to_text())["reason"] == long
    with pytest.raises(SpecError, match="at most 500 characters, got 501"):
        rollback(registry.home, "digits", reason=long + "x")
    assert np.array_equal(history(registry.home, "digits").decisions[0].evidence, decision.evidence)


def test_the_doctor_tells_of_a_moved_champion_and_mends_what_lags(
    sqlite_registry: Registry, classifier: Classifier
) -> None:
    home, client = sqlite_registry.home, sqlite_registry.client
    for share in (0.9, 0.95):
        add(sqlite_registry, classifier, share)
    promote(home, "digits", 1)
    assert list(examine(home)) == []
    client.delete_registered_model_alias("digits", "champion")
    (lagging,) = examine(home, "digits")
    assert lagging.where == "model digits"
    assert "MLflow's aliases say otherwise: a decision was cut off" in lagging.what
    assert lagging.mend is not None
    lagging.mend()
    assert aliases(sqlite_registry) == {"champion": 1, "candidate": 2}
    client.set_registered_model_alias("digits", "champion", "2")
    (moved,) = examine(home)
    assert moved.what == (
        "somebody made digits/2 the champion in MLflow's own pages; by the decisions it is version 1"
    )
    assert "study promote digits --adopt" in moved.mending
    assert moved.mend is None, "whether it is meant, a person knows"
    adopt(home, "digits")
    assert list(examine(home)) == []
