"""Population-based training: who is replaced by whom, what a new trial goes on with, and that no death of the
driver changes it.
"""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage
from rich.console import Console
from tabulated_search import EPOCHS, epoch, make, run

from study.cli.reports.study_tables import print_lineage
from study.driver.progress import Progress
from study.search.record.checkpoints import CheckpointNotes, branch_checkpoint, read_notes, write_notes
from study.search.record.lineage import changed_values, lineage, lineage_text
from study.search.record.objectives import Objectives
from study.search.record.storage import Storage
from study.search.record.study_record import StudyRecord
from study.search.record.trial_protocol import TrialConfig, TrialReport
from study.search.trial_scheduler import TrialScheduler
from study.stopping.decision import Generation
from study.stopping.early_stopping import EarlyStopping, build_rules
from study.stopping.pbt import interval_epochs
from study.stopping.rule_set import RuleSet
from study.study_file.edits import Edit, append_edit
from study.study_file.objective import Objective
from study.study_file.sampler import Sampler
from study.study_file.study_spec import StudySpec

LENGTH = 10


def rule_at(
    epoch: int,
    values: list[float],
    *,
    groups: list[str] | None = None,
    protect_top: int = 0,
    maximise: bool = True,
) -> RuleSet:
    """A rule under which trials with these values wait at `epoch`."""
    rule = build_rules(
        EarlyStopping(rule="pbt", interval=0.2, quantile=0.25, protect_top=protect_top), maximise
    )
    for trial, value in enumerate(values):
        group = "network" if groups is None else groups[trial]
        assert rule.on_epoch(trial, epoch - 1, LENGTH, value - 0.01, group).action == "continue"
        assert rule.on_epoch(trial, epoch, LENGTH, value, group).action == "pause"
    return rule


def test_the_worst_quarter_goes_on_from_the_best_quarter_the_worst_from_the_best() -> None:
    rule = rule_at(4, [0.5, 0.1, 0.9, 0.2, 0.8, 0.6, 0.3, 0.7])
    generation = rule.next_generation(4, range(8), {})
    assert generation == Generation(epoch=4, kept=(0, 2, 4, 5, 6, 7), parents={1: 2, 3: 4})
    assert list(generation.parents) == [1, 3], "the worst first"


def test_less_is_better_for_some_objectives() -> None:
    rule = rule_at(4, [0.5, 0.1, 0.9, 0.2], maximise=False)
    generation = rule.next_generation(4, range(4), {})
    assert generation is not None
    assert generation.parents == {2: 1}


def test_the_value_of_the_epoch_counts_and_not_the_best_on_the_way() -> None:
    rule = rule_at(2, [0.5, 0.6, 0.7, 0.8])
    for trial, value in enumerate([0.5, 0.6, 0.7, 0.1]):
        rule.on_epoch(trial, 4, LENGTH, value, "network")
    generation = rule.next_generation(4, range(4), {})
    assert generation is not None
    assert generation.parents == {3: 2}


def test_heads_and_networks_are_compared_among_themselves() -> None:
    rule = rule_at(4, [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9], groups=["head"] * 4 + ["network"] * 4)
    generation = rule.next_generation(4, range(8), {})
    assert generation is not None
    assert generation.parents == {0: 3, 4: 7}


def test_those_that_failed_or_miss_a_constraint_come_last_and_are_all_replaced() -> None:
    rule = rule_at(4, [0.5, 0.6, 0.7, 0.8])
    generation = rule.next_generation(4, range(4), {3: "network", 5: "network", 6: "network", 9: "head"})
    assert generation == Generation(epoch=4, kept=(0, 1, 2), parents={3: 2, 5: 2, 6: 2}), (
        "of a group without a fit trial nothing is copied"
    )


def test_the_best_of_the_study_keep_their_places() -> None:
    rule = rule_at(2, [0.5, 0.6, 0.7, 0.99])
    for trial, value in enumerate([0.5, 0.6, 0.7, 0.1]):
        rule.on_epoch(trial, 4, LENGTH, value, "network")
    assert rule.next_generation(4, range(4), {}) == Generation(epoch=4, kept=(0, 1, 2), parents={3: 2})
    guarded = rule_at(4, [0.5, 0.1, 0.9, 0.2], protect_top=4)
    assert guarded.next_generation(4, range(4), {}) == Generation(epoch=4, kept=(0, 1, 2, 3), parents={})


def test_other_rules_have_no_generations() -> None:
    assert build_rules(EarlyStopping(rule="asha_pause"), True).next_generation(4, [1, 2], {}) is None


def test_all_wait_at_every_interval_of_their_schedule_but_the_last_epoch() -> None:
    assert interval_epochs(0.2, 10) == (2, 4, 6, 8)
    assert interval_epochs(0.2, 9) == (2, 4, 6, 8)
    assert interval_epochs(0.3, 10) == (3, 6, 9)
    assert interval_epochs(0.1, 4) == (1, 2, 3)
    assert interval_epochs(0.5, 1) == ()


@given(st.floats(0.001, 0.999), st.integers(1, 200))
def test_intervals_lie_within_the_schedule_in_order(interval: float, num_epochs: int) -> None:
    epochs = interval_epochs(interval, num_epochs)
    assert all(1 <= epoch < num_epochs for epoch in epochs)
    assert list(epochs) == sorted(set(epochs))


def told(scheduler: TrialScheduler) -> list[tuple[Any, ...]]:
    """All of each trial that does not depend on time."""
    return [
        (t.number, t.state, t.point, dict(t.values), t.continues, t.reason) for t in scheduler._record.trials
    ]


def test_a_population_spends_the_epochs_of_its_trials_and_tells_its_lineages(tmp_path: Path) -> None:
    scheduler = make(tmp_path, rule="pbt", trials=8)
    run(scheduler, slots=3)
    trials = scheduler._record.trials
    children = [trial for trial in trials if trial.continues is not None]
    assert len(children) == 4 * 2, "two of eight at each of four intervals"
    assert sum(len(trial.values) for trial in trials) == 8 * EPOCHS
    assert [trial.state for trial in trials].count("complete") == 8
    for child in children:
        begun = child.continues
        assert begun is not None
        parent, place = trials[begun.trial], trials[begun.replaces]
        assert min(child.values) == begun.epoch + 1, "epochs go on where the checkpoint ends"
        assert (place.state, place.last_epoch) == ("pruned", begun.epoch)
        assert place.reason == f"replaced by trial-{child.number:04d} at epoch {begun.epoch}"
        assert child.origin == f"continues trial-{parent.number:04d} from epoch {begun.epoch}"
        assert child.point["batch_size"] == parent.point["batch_size"], "a choice stays"
        assert child.point["learning_rate"] != parent.point["learning_rate"] or parent.point[
            "learning_rate"
        ] in (1e-4, 1e-1)
        assert [stretch.trial for stretch in lineage(child)] == [
            stretch.trial for stretch in lineage(parent)
        ] + [child.number]
        assert [n for s in lineage(child) for n in range(s.first_epoch, s.last_epoch + 1)] == list(
            range(1, child.last_epoch + 1)
        )


def test_a_lineage_is_told_in_words_and_values(tmp_path: Path) -> None:
    scheduler = make(tmp_path, rule="pbt")
    run(scheduler)
    last = scheduler._record.trials[-1]
    stretches = lineage(last)
    assert lineage_text(stretches).startswith("epochs 1 to ")
    assert lineage_text(stretches).endswith(f"to 9 trial-{last.number:04d}")
    assert list(changed_values(stretches)) == ["learning_rate"]
    assert changed_values(stretches)["learning_rate"][-1] == last.point["learning_rate"]
    assert StudyRecord.open(tmp_path).trials[-1].continues == last.continues, "the record holds all of it"


def test_a_person_sees_the_lineage_and_how_many_places_are_left(tmp_path: Path) -> None:
    scheduler = make(tmp_path, rule="pbt", trials=4)
    told_to, spec = (
        io.StringIO(),
        StudySpec.parse(
            {"study": "s", "dataset": "d", "early_stopping": "pbt", "budget": {"trials": 4, "epochs": EPOCHS}}
        ),
    )
    with Progress(Console(file=told_to, width=200)).watching(spec, scheduler._record) as on_change:
        scheduler._on_change = on_change
        run(scheduler, after=lambda chosen, at: on_change(chosen.number))
    lines = [
        line.split(maxsplit=1)[1]
        for line in told_to.getvalue().splitlines()
        if "pruned" in line or "complete" in line
    ]
    assert [line.split()[0] for line in lines] == ["0/4"] * 4 + ["1/4", "2/4", "3/4", "4/4"], (
        "who was replaced does not count"
    )
    assert lines[0].endswith("replaced by trial-0004 at epoch 2")
    child = scheduler._record.trials[-1]
    print_lineage(Console(file=told_to, width=200), child)
    shown = told_to.getvalue()
    assert (
        f"trial-{child.number:04d} went on from others' checkpoints; its values alone do not train it again"
        in shown
    )
    assert f"{child.last_epoch - len(child.values) + 1} to 9" in shown


def test_how_many_run_at_once_changes_nothing(tmp_path: Path) -> None:
    seen = []
    for slots in (1, 2, 6):
        folder = tmp_path / str(slots)
        folder.mkdir()
        scheduler = make(folder, rule="pbt")
        run(scheduler, slots=slots)
        seen.append(told(scheduler))
    assert seen[0] == seen[1] == seen[2]


class DiedError(Exception):
    pass


class MortalStorage:
    """A study's storage whose process dies with one of its writes."""

    def __init__(self, inner: Any, num_writes: int) -> None:
        self._inner = inner
        self.num_left = num_writes

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        return self._counted(attribute) if name.startswith(("set_", "create_")) else attribute

    def _counted(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            self.num_left -= 1
            if self.num_left < 0:
                raise DiedError
            return write(*args, **options)

        return counted


def new_storage() -> Storage:
    """Of a study that is kept in memory: as durable as a test needs, and fast."""
    inner, objectives = InMemoryStorage(), Objectives((Objective(metric="accuracy"),))
    inner.create_new_study(objectives.directions, "table")
    storage = Storage(inner, None, "table")
    for key, value in {**objectives.to_facts(), "sampler": Sampler(rule="random").model_dump()}.items():
        storage.set_study_user_attr(storage.study_id, key, value)
    return storage


def run_short(folder: Path, storage: Any) -> TrialScheduler:
    """Runs a study of 4 epochs to its end, one trial at a time, from what the storage has of it."""
    scheduler = make(folder, rule="pbt", trials=4, epochs=4, record=StudyRecord(storage))
    while not scheduler.is_over and (chosen := scheduler.next_trial()) is not None:
        trial = scheduler._record.trial(chosen.number)
        at = max(trial.last_epoch, 1) if trial.values else trial.last_epoch + 1
        while scheduler.on_trial_result(chosen.number, epoch(chosen, at, epochs=4)):
            at += 1
    scheduler.conclude()
    return scheduler


def test_a_driver_that_dies_with_any_write_to_the_record_changes_nothing(tmp_path: Path) -> None:
    storage = MortalStorage(new_storage(), 1_000_000)
    whole = run_short(tmp_path, storage)
    assert any(trial.continues for trial in whole._record.trials)
    for number in range(1_000_000 - storage.num_left):
        mortal = MortalStorage(new_storage(), number)
        with pytest.raises(DiedError):
            run_short(tmp_path, mortal)
        assert told(run_short(tmp_path, mortal._inner)) == told(whole), f"died with write {number}"


def fail_at(scheduler: TrialScheduler, failing: Callable[[TrialConfig, int], bool]) -> None:
    while (chosen := scheduler.next_trial()) is not None:
        at = scheduler._record.trial(chosen.number).last_epoch + 1
        while True:
            if failing(chosen, at):
                scheduler.on_trial_result(chosen.number, TrialReport(state="failed", reason="diverged"))
                break
            if not scheduler.on_trial_result(chosen.number, epoch(chosen, at)):
                break
            at += 1
    scheduler.conclude()


def test_the_place_of_a_trial_that_failed_is_taken_at_the_next_interval(tmp_path: Path) -> None:
    scheduler = make(tmp_path, rule="pbt", trials=8)
    fail_at(scheduler, lambda chosen, at: chosen.number in (1, 2) and at == 1)
    first = [
        trial.continues
        for trial in scheduler._record.trials
        if trial.continues is not None and trial.continues.epoch == 2
    ]
    assert {begun.replaces for begun in first} == {1, 2}
    assert [trial.state for trial in scheduler._record.trials].count("complete") == 8


def test_nobody_takes_the_place_of_a_trial_that_a_person_killed(tmp_path: Path) -> None:
    scheduler = make(tmp_path, rule="pbt", trials=6)

    def kill(chosen: TrialConfig, at: int) -> None:
        if (chosen.number, at) == (0, 1):
            append_edit(tmp_path, Edit(kind="kill", trial=0, user="ada"))

    run(scheduler, after=kill)
    trials = scheduler._record.trials
    assert trials[0].reason == "killed by ada"
    assert 0 not in {trial.continues.replaces for trial in trials if trial.continues is not None}
    assert [trial.state for trial in trials].count("complete") == 5


def test_what_misses_a_constraint_is_never_copied(tmp_path: Path) -> None:
    scheduler = make(tmp_path, rule="pbt", trials=6, constraints=["parameters_million <= 2"])
    while (chosen := scheduler.next_trial()) is not None:
        at = scheduler._record.trial(chosen.number).last_epoch + 1
        measures = {"parameters_million": 3.0 if chosen.point["batch_size"] == 64 else 1.0}
        while scheduler.on_trial_result(chosen.number, replace(epoch(chosen, at), measures=measures)):
            at += 1
    trials = scheduler._record.trials
    assert {trial.point["batch_size"] for trial in trials} == {32, 64}
    assert {trial.point["batch_size"] for trial in trials if trial.state == "complete"} == {32}


def test_trials_that_a_study_is_extended_by_are_a_population_of_their_own(tmp_path: Path) -> None:
    scheduler = make(tmp_path, rule="pbt", trials=4)
    run(scheduler)
    before = told(scheduler)
    append_edit(tmp_path, Edit(kind="extend", trials=4))
    again = make(tmp_path, rule="pbt", trials=4)
    run(again)
    assert told(again)[: len(before)] == before
    later = again._record.trials[len(before) :]
    assert [trial.state for trial in later].count("complete") == 4
    assert {begun.replaces for trial in later if (begun := trial.continues) is not None} <= {
        trial.number for trial in later
    }


def test_values_that_are_pinned_hold_in_copies(tmp_path: Path) -> None:
    scheduler = make(tmp_path, rule="pbt", trials=4)
    append_edit(tmp_path, Edit(kind="pin", point={"learning_rate": 0.02, "batch_size": 64}))
    run(scheduler)
    begun = [trial for trial in scheduler._record.trials if trial.continues is not None]
    assert {trial.point["learning_rate"] for trial in begun} == {0.02}


def test_a_checkpoint_is_branched_whole_and_once(tmp_path: Path) -> None:
    parent, child = (tmp_path / "checkpoints" / f"trial-000{number}" for number in (1, 2))
    branch_checkpoint(tmp_path, 1, 2)
    assert not child.exists(), "there is nothing to copy"
    write_notes(tmp_path, 1, CheckpointNotes(best=0.9, micro_batch=16, last_epoch={"number": 4}))
    (parent / "training.pt").write_bytes(b"at epoch 4")
    branch_checkpoint(tmp_path, 1, 2)
    (parent / "training.pt").write_bytes(b"at epoch 8")
    branch_checkpoint(tmp_path, 1, 2)
    assert (child / "training.pt").read_bytes() == b"at epoch 4"
    assert read_notes(tmp_path, 2) == CheckpointNotes(micro_batch=16), (
        "its best value and its last epoch are its own"
    )
    assert [folder.name for folder in sorted((tmp_path / "checkpoints").iterdir())] == [
        "trial-0001",
        "trial-0002",
    ]


def test_checkpoints_are_copied_before_their_owners_go_on(tmp_path: Path) -> None:
    scheduler = make(tmp_path, rule="pbt", trials=4)
    while (chosen := scheduler.next_trial()) is not None:
        trial = scheduler._record.trial(chosen.number)
        file = tmp_path / "checkpoints" / f"trial-{chosen.number:04d}" / "training.pt"
        if trial.continues is not None and not trial.values:
            assert file.read_text() == f"{trial.continues.trial} at {trial.continues.epoch}"
        at = trial.last_epoch + 1
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{chosen.number} at {at}")
        while scheduler.on_trial_result(chosen.number, epoch(chosen, at)):
            at += 1
            file.write_text(f"{chosen.number} at {at}")


def test_all_ends_that_no_process_told_are_told_on(tmp_path: Path) -> None:
    seen: list[int] = []
    scheduler = make(tmp_path, rule="pbt", trials=4)
    scheduler._on_change = seen.append
    run(scheduler)
    assert {
        trial.number
        for trial in scheduler._record.trials
        if trial.state == "pruned" or trial.continues is not None
    } <= set(seen)
