"""The report at a study's end: whatever is wrong with it is one line, and fails nothing."""

from pathlib import Path

from fresh_homes import FreshHomes
from made_up_study import NAME, make_study

from study import names
from study.connections.mlflow_client import addressed_to, connect, prepare_experiment
from study.driver.report_at_end import report_at_end
from study.home import Home
from study.search.record.study_record import StudyRecord
from study.tracking.descriptions import ended_description


def test_a_report_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    said: list[str] = []
    report_at_end(Home(tmp_path), "gone", said.append)
    (line,) = said
    assert line == (
        "the report could not be made (unknown study 'gone'; known: none); nothing else is affected; try: "
        "study report gone"
    )


def test_an_ended_study_gets_its_report_in_its_folder_and_in_its_run(
    fresh_homes: FreshHomes, tmp_path: Path
) -> None:
    home = fresh_homes.make(tmp_path / "home", with_digits=True)
    result = make_study(home, num_trials=8)
    client = connect(home.tracking_uri)
    experiment = prepare_experiment(client, home, "digits")
    run = client.create_run(experiment, run_name=NAME, tags={names.NOTE: "It searches."}).info.run_id
    StudyRecord.open(result.folder).note(run_id=run)
    client.set_terminated(run)
    said: list[str] = []
    report_at_end(home, NAME, said.append)
    file = result.folder / "report.html"
    assert said == [f"report: {file}"]
    with addressed_to(home.tracking_uri):
        logged = Path(client.download_artifacts(run, "report.html"))
    assert logged.read_bytes() == file.read_bytes()
    assert "A study on the dataset <bdi>digits</bdi>: finished" in file.read_text(encoding="utf-8")
    links, told = client.get_run(run).data.tags[names.NOTE].split("\n\n", 1)
    assert f"#/experiments/{experiment}/runs/{run}/artifacts/report.html" in links
    assert "[digits version 2 (single)](#/models/digits/versions/2)" in links
    assert told.endswith("### As it began\n\nIt searches.")


def test_the_description_of_an_ended_study_begins_with_links_and_summary() -> None:
    links = {"the report": "#/experiments/1/runs/a/artifacts/report.html"}
    first = ended_description("What it searches.", ["It found *nothing* <b>new</b>."], links)
    assert first == (
        "[the report](#/experiments/1/runs/a/artifacts/report.html)\n\n"
        "It found \\*nothing\\* \\<b\\>new\\</b\\>.\n\n"
        "### As it began\n\nWhat it searches."
    )
    again = ended_description(first, ["It found more."], links)
    assert again.startswith("[the report](#/experiments/1/runs/a/artifacts/report.html)\n\nIt found more.")
    assert again.endswith("### As it began\n\nWhat it searches.")
    assert "nothing" not in again
