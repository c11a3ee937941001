"""`study check` says beforehand what trials do about layers that they freeze."""

from pathlib import Path

import pytest

from study.errors import SpecError
from study.home import Home
from study.planning.frozen_layers import frozen_layers_text
from study.planning.plan import plan_study
from study.study_file.study_spec import StudySpec
from trainables.errors import DatasetError

HEAD = {"fine_tuning": "suffix", "freeze_depth": 2}


def told(home: Home, **fix: object) -> str | None:
    tree = {"study": "s", "dataset": "digits", "search_space": "digits", "budget": {"trials": 3, "epochs": 4}}
    return frozen_layers_text(plan_study(StudySpec.parse({**tree, "fix": fix}), home))


def test_nothing_where_nothing_is_frozen(home: Home) -> None:
    assert told(home) is None
    assert told(home, **HEAD, batch_norm="train") is None


def test_what_is_shared_and_what_that_may_take(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path))
    monkeypatch.setenv("STUDY_CACHE_GB", "20")
    text = told(home, **HEAD, augmentation_strength=0.0)
    assert text is not None
    assert text.endswith(f"{tmp_path} takes at most 20 GB.")
    text = told(home, **HEAD)  # the space has strengths from 0 to 0.6
    assert text is not None
    assert "In some of these configurations only that of validation images: each epoch changes each" in text
    assert "fixed_views: 8" in text
    assert told(home, **HEAD, fixed_views=8) == told(home, **HEAD, augmentation_strength=0.0)


def test_bad_values_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match=r"fixed_views must lie in \[1, 64\], got 0"):
        told(home, **HEAD, fixed_views=0)
    with pytest.raises(SpecError, match="fixed_views needs augmentation_policy affine, got 8 with 'rand'"):
        told(home, **HEAD, fixed_views=8, augmentation_policy="rand")
    monkeypatch.setenv("STUDY_CACHE_GB", "much")
    with pytest.raises(DatasetError, match="STUDY_CACHE_GB is how much"):
        told(home, **HEAD)
