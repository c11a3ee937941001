"""The result in a study's folder: what is read is what was written."""

from pathlib import Path

from final_results import FINAL, TEST

from study.evaluation.final_result import RESULT_FILE, FinalResult


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    assert FinalResult.read(tmp_path) is None
    FINAL.write(tmp_path)
    assert FinalResult.read(tmp_path) == FINAL
    assert [file.name for file in tmp_path.iterdir()] == [RESULT_FILE]
    assert (FINAL.trial, FINAL.model, FINAL.version, FINAL.test) == (3, "pets", 7, TEST)
