"""A full disk is one message, before a study begins and on its way."""

from pathlib import Path

import pytest

from study.cli.main import message_of
from study.disk_space import bytes_in, check_disk_space, size_text
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


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 kB"), (87_400, "87 kB"), (2_000_000, "2.0 MB"), (1_234_500_000, "1.2 GB"), (5e12, "5.0 TB")],
)
def test_sizes_are_told_in_units_that_fit(num_bytes: int, text: str) -> None:
    assert size_text(num_bytes) == text


def test_a_folder_takes_what_its_files_take_and_links_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 1000)
    (tmp_path / "outside").write_bytes(b"x" * 9000)
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    assert 1000 <= bytes_in(tmp_path / "a") < 2000
    assert bytes_in(tmp_path / "absent") == 0
