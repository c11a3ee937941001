"""A zip of files that a job runs from: the same files always make the same bytes, so that the cluster keeps one copy."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from cluster.errors import ClusterError

MAX_BYTES = 20_000_000
"""Code and configuration are some hundred kB; more means that data or an environment slipped in."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def pack(files: Mapping[str, bytes]) -> bytes:
    """The zip of files by their paths in it. Raises ClusterError above 20 MB."""
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        largest = max(files, key=lambda path: len(files[path]))
        raise ClusterError(f"what travels to a cluster has at most {MAX_BYTES:,} bytes, this has {size:,}; the largest file is {largest}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.writestr(zipfile.ZipInfo(path, _EARLIEST), files[path], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def source_files(package: Path) -> dict[str, bytes]:
    """The files of a Python package that it runs on, by their paths from its parent on."""
    found = (path for kind in ("*.py", "*.yaml") for path in package.rglob(kind))
    return {path.relative_to(package.parent).as_posix(): path.read_bytes() for path in found}
