"""Names that other people gave are shown letter by letter: no markup of tables, no order to the terminal."""

from pathlib import Path

import pytest
from PIL import Image

from study.cli.reports.dataset_tables import print_added, print_dataset, print_datasets
from study.cli.reports.final_tables import classes_table
from study.cli.reports.prediction_tables import print_predictions
from study.cli.reports.terminal import console
from study.driver.progress import Progress
from study.evaluation.test_result import ClassResult
from study.registry.predictions import Prediction
from study.registry.versions import Version
from trainables.datasets.adding import add_dataset
from trainables.datasets.manifest import Manifest
from trainables.datasets.options import AddOptions

NAMES = ("a[", "[red]", "[bold]x", "a[[b]", ":smile:", "\x1b[31mred", "new\nline", "\u202eleft")
SHOWN = ("a[", "[red]", "[bold]x", "a[[b]", ":smile:", r"\x1b[31mred", r"new\nline", r"\u202eleft")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset whose classes have such names, from a folder with such a name."""
    source = tmp_path_factory.mktemp("source") / "[link=x]\x1b]0;title\x07"
    for label, name in enumerate((*NAMES, "a[")):
        for row in range(4):
            file = source / name / f"{row}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), color=20 * label + row).save(file)
    home = tmp_path_factory.mktemp("home")
    add_dataset(home, "odd", source, AddOptions(licence="[/]free[/b]\x1b[2J"))
    return home / "odd"


def test_a_dataset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = Manifest.read(folder)
    print_added(manifest, folder)
    print_datasets([manifest], [1000])
    print_dataset(manifest, folder)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "licence [/]free[/b]" in text
    assert r"[link=x]\x1b]0;title\x07" in text
    rows = [line.split()[0] for line in text.splitlines() if line.rstrip().endswith("%")]
    assert sorted(rows) == sorted(SHOWN)


def test_classes_of_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    rows = tuple(
        ClassResult(name=name, recall=None, precision=None, num_images=3, num_predicted=0)
        for name in (*NAMES, "a[/b]")
    )
    console().print(classes_table(rows))
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [*SHOWN, "a[/b]"]


def test_predictions(capsys: pytest.CaptureFixture[str]) -> None:
    version = Version(
        model="m", number=1, aliases=(), tags={}, run_id=None, source="", registered="2026-01-01T00:00:00"
    )
    shares = dict.fromkeys(NAMES, 0.1)
    print_predictions(
        version,
        [
            Prediction(file=f"{name}.png", label=name, confidence=0.1, probabilities=shares, problem=None)
            for name in NAMES
        ]
        + [Prediction(file="\x1bx", label=None, confidence=None, probabilities=None, problem="\x1b[2J")],
        width=10,
    )
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    for shown in SHOWN:
        assert f"{shown}.png" in out
    assert r"\x1bx: \x1b[2J" in err


def test_what_is_no_markup_is_printed_as_it_is_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("a closing tag [/b] that nobody opened, and an escape \x1b[31m")
    Progress().say("of a name [/b]\x1b[31m")
    out, err = capsys.readouterr()
    assert out == "a closing tag [/b] that nobody opened, and an escape \\x1b[31m\n"
    assert "of a name [/b]\\x1b[31m" in err
