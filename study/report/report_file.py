"""The report of a study as a file."""

from pathlib import Path

from study.errors import SpecError
from study.home import Home
from study.report.report_page import report_html
from study.results.study_result import StudyResult
from trainables.atomic import atomic_file
from trainables.printable import quoted

REPORT_FILE = "report.html"
"""In a study's folder, and among the artifacts of its run."""


def write_report(result: StudyResult, home: Home, file: Path) -> int:
    """Writes the report, whole or not at all, and returns its size in bytes.

    Raises SpecError for a folder.
    """
    if file.is_dir():
        raise SpecError(
            f"--to needs a file, and {quoted(str(file))} is a folder; name a file such as report.html"
        )
    content = report_html(result, home).encode()
    with atomic_file(file) as unfinished:
        unfinished.write_bytes(content)
    return len(content)
