"""The quote of a study: how long, until when, for how much, and what it says where it cannot tell."""

import os
import time
from pathlib import Path

import psutil
import pytest
from quoting import keep_speed, plan, quoted

from study.errors import SpecError
from study.home import Home
from study.quote.measuring import measure_steps
from study.quote.sentence import quote_sentence, source_sentences
from study.quote.site import this_machine
from trainables.recipe.tree import Recipe

NOON = time.mktime((2026, 11, 23, 12, 0, 0, 0, 0, -1))


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.quote.site.num_cores", lambda: 2)
    monkeypatch.delenv("STUDY_HOURLY_COST", raising=False)


def test_the_quote_is_one_sentence(home: Home) -> None:
    made = plan(
        home, early_stopping="none", budget={"trials": 40, "epochs": 20}, confirm={"top": 3, "seeds": 3}
    )
    keep_speed(made, seconds_an_image=0.01)
    said: list[str] = []
    found = quoted(made, said)
    # 40 x 20 epochs of 12.2 s on two slots, a tenth more as two cores are crowded, and 24 s beside them; then
    # 5 rounds of 20 epochs.
    assert quote_sentence(found, NOON) == (
        "40 trials, 800 epochs, 91 min on 2 CPU cores (77 min to 1 h 45 min), done by about 13:31; "
        "confirmation 23 min more (13:54)"
    )
    assert said == [], "what is known is not measured again"
    assert source_sentences(found) == (
        "2 trials run at once, each 10 % slower than alone.",
        "Epochs: as no trial stops early.",
    )


def test_early_stopping_shortens_it_and_more_trials_at_once_do(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, without = plan(home), plan(home, early_stopping="none")
    keep_speed(made, seconds_an_image=0.01)
    stopped, whole = quoted(made).search_seconds, quoted(without).search_seconds
    assert stopped is not None
    assert whole is not None
    assert stopped.expected < 0.75 * whole.expected
    alone = plan(home, early_stopping="none", resources={"gpus_per_trial": 0, "max_concurrent": 1})
    keep_speed(alone, seconds_an_image=0.01)
    assert quoted(alone).search_seconds.expected > 1.7 * whole.expected  # type: ignore[union-attr]


def test_hours_bound_the_search(home: Home) -> None:
    made = plan(home, budget={"trials": 40, "epochs": 20, "hours": 0.1})
    keep_speed(made, seconds_an_image=0.01)
    found = quoted(made)
    assert found.search_seconds is not None
    assert found.unlimited_seconds is not None
    assert found.search_seconds.expected == pytest.approx(360 + 24)
    assert found.unlimited_seconds.expected > 1000


def test_a_price_is_told_where_the_environment_names_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(home, early_stopping="none", budget={"trials": 40, "epochs": 20})
    keep_speed(made, seconds_an_image=0.01)
    monkeypatch.setenv("STUDY_HOURLY_COST", "2.50 EUR")
    assert quote_sentence(quoted(made), NOON).endswith("; about 3.80 EUR (3.21 to 4.40)")
    monkeypatch.setenv("STUDY_HOURLY_COST", "cheap")
    with pytest.raises(SpecError, match="STUDY_HOURLY_COST must be a number with or"):
        quoted(made)


@pytest.mark.slow
def test_steps_are_measured_once_in_processes_that_end(home: Home) -> None:
    made = plan(home)
    said: list[str] = []
    found = quoted(made, said)
    assert len(said) == 1
    assert found.failure is None
    (shape,) = found.shapes
    assert (shape.architecture, shape.image_size, shape.batch_sizes) == ("cnn2-32x64", 8, (32, 128))
    assert shape.is_measured
    assert 0.05 < shape.epoch_seconds.expected < 60
    assert shape.memory_bytes is not None
    assert 5e7 < shape.memory_bytes < 5e9
    assert not any("spawn_main" in word for child in psutil.Process().children() for word in child.cmdline())
    begun = time.process_time()
    again = quoted(plan(home), said)
    assert len(said) == 1, "the second check measures nothing"
    assert again.shapes == found.shapes
    assert time.process_time() - begun < 2


@pytest.mark.slow
def test_what_fails_while_it_measures_is_said_and_nothing_is_kept(home: Home, tmp_path: Path) -> None:
    made = plan(home)
    recipe: Recipe = made.corner_recipes[0]
    measured = measure_steps(
        [recipe],
        tmp_path / "gone",
        threads=1,
        uses_gpu=False,
        num_at_once=1,
        say=[].append,
    )
    assert measured.steps == ()
    assert measured.failure is not None
    assert "gone" in measured.failure


@pytest.mark.slow
def test_a_home_that_cannot_be_written_to_still_quotes(home: Home) -> None:
    if os.geteuid() == 0:
        (home.folder / "step_times").write_text("a file where the folder should be")
    else:
        home.folder.chmod(0o500)
    found = quoted(plan(home))
    assert found.search_seconds is not None
    assert "not kept for the next time" in str(found.failure)


def test_the_gpus_of_a_machine_are_counted_each_as_one_slot(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.quote.site.num_cores", lambda: 16)
    monkeypatch.setattr("study.quote.site.num_gpus", lambda: 2)
    monkeypatch.setattr("study.quote.site._gpu_name", lambda: "NVIDIA H200")
    made = plan(home, resources={"gpus_per_trial": "auto"})
    site = this_machine(made)
    assert (site.num_slots, site.devices_text, site.precision) == (2, "2 GPUs (NVIDIA H200)", "bf16")
