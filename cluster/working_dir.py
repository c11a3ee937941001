"""The working directory of a job, as one zip file.

The same files always make the same bytes, so that the cluster keeps one copy.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from cluster.errors import ClusterError

SOURCE_KINDS = ("py", "yaml", "sql", "html", "css", "js", "svg")
MAX_BYTES = 20_000_000
"""Code and configuration are some hundred kB; more means that data or an environment slipped in."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip file can name, given to each file."""


def zip_files(files: Mapping[str, bytes]) -> bytes:
    """The zip of files by their paths in it. Raises ClusterError if they have more than 20 MB together."""
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        largest = max(files, key=lambda path: len(files[path]))
        rule = f"what travels to a cluster has at most {MAX_BYTES:,} bytes"
        raise ClusterError(f"{rule}, this has {size:,}; the largest file is {largest}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.writestr(zipfile.ZipInfo(path, _EARLIEST), files[path], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def source_files(package: Path) -> dict[str, bytes]:
    """The code of the package in a folder, and the files that it reads, by their paths from the folder's
    parent on; never what else lies there, such as secrets.
    """
    found = (path for kind in SOURCE_KINDS for path in package.rglob(f"*.{kind}"))
    return {path.relative_to(package.parent).as_posix(): path.read_bytes() for path in found}
