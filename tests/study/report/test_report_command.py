"""`study report`: the file that it writes, and what it refuses."""

from pathlib import Path

import pytest
from command_line import Study
from made_up_study import NAME, make_study

from study.home import Home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("home"))
    make_study(made, num_trials=6)
    return made


def test_the_file_lies_where_a_person_wants_it(study: Study, home: Home, tmp_path: Path) -> None:
    file = tmp_path / "reports" / "faces.html"
    done = study(home, "report", NAME, "--to", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"wrote {file} (")
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [one.name for one in file.parent.iterdir()] == ["faces.html"]


def test_without_a_place_it_lies_in_the_current_folder(
    study: Study, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert study(home, "report", NAME).returncode == 0
    assert (tmp_path / f"{NAME}-report.html").exists()


def test_what_is_no_file_or_no_study_is_refused(study: Study, home: Home, tmp_path: Path) -> None:
    folder = study(home, "report", NAME, "--to", tmp_path)
    assert folder.returncode == 2
    assert "--to needs a file" in folder.stderr
    unknown = study(home, "report", "gone", "--to", tmp_path / "a.html")
    assert unknown.returncode == 2
    assert f"unknown study 'gone'; known: {NAME}" in unknown.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_receipt_says_the_price_where_one_is_known(
    study: Study, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.html"
    monkeypatch.setenv("STUDY_HOURLY_COST", "9 EUR")
    assert study(home, "report", NAME, "--to", file).returncode == 0
    receipt = file.read_text(encoding="utf-8").partition('<section id="cost"')[2].partition("</section>")[0]
    assert "price, at 9.00 EUR an hour" in receipt
    assert "1.00 EUR<" in receipt, "the study held its machines for 400 s"
    assert "1.00 EUR at 9.00 EUR an hour" in " ".join(study(home, "show", NAME).stdout.split())
    file.unlink()
    monkeypatch.setenv("STUDY_HOURLY_COST", "cheap")
    refused = study(home, "report", NAME, "--to", file)
    assert refused.returncode == 2
    assert "STUDY_HOURLY_COST must be a number with or without a currency" in refused.stderr
    assert not file.exists()
    monkeypatch.delenv("STUDY_HOURLY_COST")
    assert study(home, "report", NAME, "--to", file).returncode == 0
    assert "an hour" not in file.read_text(encoding="utf-8").partition('<section id="cost"')[2]
