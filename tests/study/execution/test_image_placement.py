"""`study check` says whether images will be in memory or streamed, and how fast streaming is here."""

import re
from pathlib import Path

import pytest
from quoting import keep_speed, quoted

from study.cli.reports.check_report import Check, print_check
from study.execution import image_placement
from study.execution.image_placement import ImagePlacement
from study.home import Home
from study.planning.plan import plan_study
from study.study_file.study_spec import StudySpec
from trainables.devices import memory

SPEC = {"study": "placed", "dataset": "digits", "search_space": "digits", "budget": {"trials": 3}}


def test_small_images_need_no_word(home: Home) -> None:
    assert ImagePlacement.of(plan_study(StudySpec.parse(SPEC), home)) is None


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (10**9, r"images of cnn\S+ at \d+ px with batch \d+: \d+ kB, in a trial's memory \(room for 1.0 GB"),
        (1000, r"more than the 1 kB that a trial has room for .* streamed from the disk, [\d,]+ images/s"),
    ],
)
def test_larger_images_are_placed_by_the_room_that_there_is(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    room: int,
    said: str,
) -> None:
    plan = plan_study(StudySpec.parse(SPEC), home)
    monkeypatch.setattr(image_placement, "SMALL_BYTES", 0)
    monkeypatch.setattr(memory, "room_for_images", lambda device, num_threads: room)
    keep_speed(plan)
    check = Check(
        plan=plan,
        file=Path("placed.yaml"),
        quote=quoted(plan),
        cautions=(),
        remarks=(),
        placement=ImagePlacement.of(plan),
    )
    print_check(check)
    assert re.search(said, " ".join(capsys.readouterr().out.split()))
