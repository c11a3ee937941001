"""Garbage among copies: of registered models in the home, and of published datasets and
features on this machine.
"""

import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from study.disk_space import bytes_in
from study.doctor.finding import counted
from study.garbage.piece import Piece, Scope, is_older
from trainables.datasets.node_cache import CachedCopy, cache_folder, cached_copies, evict

_REGISTERED = re.compile(r"models:/([^\s/@'\"]+)[/@]")


def fetched_models(scope: Scope) -> Iterator[Piece]:
    """Copies of registered models that were not used for long, and that no study which goes on starts from.

    The models themselves stay in the registry, and are copied again by whoever needs one.
    """
    needed = tuple(f"{model}-" for model in _REGISTERED.findall(scope.needed_text))
    for folder in sorted(scope.home.fetched_models.glob("*")):
        is_needed = bool(needed) and folder.name.startswith(needed)
        if folder.is_dir() and not is_needed and is_older([folder], scope.before):
            yield Piece(
                kind="copies",
                where=f"{scope.home.fetched_models.name}/{folder.name}",
                what=counted(sum(file.is_file() for file in folder.rglob("*")), "file"),
                num_bytes=bytes_in(folder),
                delete=partial(_delete_fetched, scope, folder),
            )


def copies_of_this_machine(scope: Scope) -> Iterator[Piece]:
    """Copies of published datasets, and features, that no process of this machine used for long."""
    for copy in cached_copies():
        if copy.last_used < scope.before:
            yield Piece(
                kind="copies",
                where=copy.name,
                what=f"in {cache_folder()}",
                num_bytes=copy.num_bytes,
                delete=partial(_delete_cached, copy),
            )


def _delete_fetched(scope: Scope, folder: Path) -> bool:
    if not is_older([folder], scope.before):
        return False
    doomed = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(doomed, ignore_errors=True)
    folder.rename(doomed)  # gone in one step, whoever dies within
    shutil.rmtree(doomed)
    return True


def _delete_cached(copy: CachedCopy) -> bool:
    return evict(copy)
