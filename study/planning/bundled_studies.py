"""Bundled studies: study files that come with the search spaces, run by name."""

from pathlib import Path

import search_spaces.studies
from study.errors import SpecError

_FOLDER = Path(search_spaces.studies.__path__[0])


def bundled_studies() -> dict[str, Path]:
    """The study files by name."""
    return {file.stem: file for file in sorted(_FOLDER.glob("*.yaml"))}


def find_study_file(wanted: Path) -> Path:
    """The study file at a path, or the bundled study of that name. Raises SpecError for a bare name that is
    neither.
    """
    known = bundled_studies()
    if not wanted.exists() and not wanted.suffix and str(wanted) not in known:
        raise SpecError(
            f"there is neither a file {str(wanted)!r} nor a bundled study of that name; bundled: "
            f"{', '.join(known)}"
        )
    return wanted if wanted.exists() else known.get(str(wanted), wanted)
