"""A machine that does not see a source, or the folder of its parts, reads nothing and says so."""

from pathlib import Path

import pytest

from study.execution.part_tasks import _read_here, refuse_hidden
from trainables.datasets.options import AddOptions
from trainables.datasets.parts import PartJob
from trainables.errors import CutOffError, DatasetError


def test_machines_that_do_not_see_the_source_are_named() -> None:
    home = Path("/shared/study")
    refuse_hidden({"a (10.0.0.1)": [], "b (10.0.0.2)": []}, home)
    hidden = {f"n{number} (10.0.0.{number})": ["/data/photos"] * (number > 1) for number in range(7)}
    with pytest.raises(
        DatasetError,
        match=r"'/data/photos' is not there on 5 of 7 machines that would read: n2 \(10.0.0.2\), "
        r"n3 \(10.0.0.3\), n4 \(10.0.0.4\) and 2 more; put the source .* such as in /shared/study",
    ):
        refuse_hidden(hidden, home)
    with pytest.raises(DatasetError, match="STUDY_HOME must be a folder that all of them share"):
        refuse_hidden({"a (10.0.0.1)": [str(home), "/data/photos"]}, home)


def test_a_machine_that_came_later_and_does_not_see_the_source_cuts_the_reading_off(tmp_path: Path) -> None:
    job = PartJob(
        number=1,
        images=(),
        folder=tmp_path / "parts",
        form="decoded",
        options=AddOptions(),
        classes=("a", "b"),
        needs_groups=False,
    )
    with pytest.raises(CutOffError, match="parts' is not there on the machine"):
        _read_here(job, None)
    assert not job.folder.exists(), "nothing is written where nobody finds it"
    job.folder.mkdir()
    with pytest.raises(CutOffError, match="'/nowhere' is not there on the machine"):
        _read_here(job, Path("/nowhere"))
