"""A full disk is one message, before a study begins and on its way."""

from pathlib import Path

import pytest

from study.cli.main import message_of
from study.disk_space import check_disk_space
from study.errors import StudyError
from study.home import Home


def test_a_home_that_is_nearly_full_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(
        StudyError,
        match=rf"STUDY_HOME={tmp_path} has [\d,]+ MB left, a study needs 1,000,000,000,000 MB; delete what",
    ):
        check_disk_space(Home(tmp_path), min_free_bytes=10**18)
    check_disk_space(Home(tmp_path), min_free_bytes=1)
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        StudyError, match=r"file/home cannot be written .*make room there, or name another folder"
    ):
        check_disk_space(Home(tmp_path / "file" / "home"), min_free_bytes=1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_is_no_bug_of_ours() -> None:
    with pytest.raises(OSError, match="No space left") as full, Path("/dev/full").open("w") as file:
        file.write("a" * 100_000)
    said = message_of(full.value)
    assert said is not None
    assert said.startswith("no room is left on the disk ([Errno 28] No space left on device")
    assert "study resume NAME" in said
    assert message_of(PermissionError(13, "Permission denied")) is None
