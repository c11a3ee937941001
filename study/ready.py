"""Ready studies: study files that come with the search spaces, run by name."""

from pathlib import Path

import search_spaces.studies
from search_spaces.errors import UnknownNameError

_FOLDER = Path(search_spaces.studies.__path__[0])


def ready_studies() -> dict[str, Path]:
    """The study files by name."""
    return {file.stem: file for file in sorted(_FOLDER.glob("*.yaml"))}


def study_file(wanted: Path) -> Path:
    """The study file at a path, or the ready study of that name. Raises UnknownNameError for a bare name that is neither."""
    known = ready_studies()
    if wanted.exists() or str(wanted) not in known:
        if not wanted.exists() and not wanted.suffix:
            raise UnknownNameError("ready study", str(wanted), known)
        return wanted
    return known[str(wanted)]
