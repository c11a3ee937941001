"""Bundled studies: study files that come with the search spaces, run by name."""

from pathlib import Path

import search_spaces.studies
from study.errors import SpecError
from trainables.printable import quoted

_FOLDER = Path(search_spaces.studies.__path__[0])


def bundled_studies() -> dict[str, Path]:
    """The study files by name."""
    return {file.stem: file for file in sorted(_FOLDER.glob("*.yaml"))}


def find_study_file(wanted: Path) -> Path:
    """The study file at a path, or the bundled study of that name. Raises SpecError for a bare name that is
    neither.
    """
    known = bundled_studies()
    is_there = _exists(wanted)
    if not is_there and not wanted.suffix and str(wanted) not in known:
        raise SpecError(
            f"there is neither a file {quoted(str(wanted))} nor a bundled study of that name; bundled: "
            f"{', '.join(known)}"
        )
    return wanted if is_there else known.get(str(wanted), wanted)


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # a name that is too long for a file
        return False
