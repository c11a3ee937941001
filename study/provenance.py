"""Where a study comes from: the commit it runs at and the versions of what it runs on."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version

from study import names
from study.user import current_user

PACKAGES = ("study", "torch", "torchvision", "timm", "ray", "mlflow", "optuna", "pyarrow", "numpy")
COMMIT_VARIABLE = "STUDY_COMMIT"
"""Travels with a job, which runs where there is no repository."""


def provenance_tags() -> dict[str, str]:
    """Tags for MLflow: the git commit of the current folder (with `+changes` if files differ from it),
    versions of packages, the user.
    """
    tags = {names.version_tag(package): found for package in PACKAGES if (found := _version(package))}
    tags |= {names.USER: current_user(), names.SOURCE: "study"}
    if known := commit():
        tags[names.COMMIT] = known
    return tags


def commit() -> str | None:
    """The git commit of the current folder, or the one that a job came from, with `+changes` if files differ
    from it.
    """
    found = git("rev-parse", "HEAD")
    if not found:
        return os.environ.get(COMMIT_VARIABLE)
    return found + ("+changes" if git("status", "--porcelain") else "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git(*arguments: str) -> str | None:
    """What git says of the current folder; None where there is no git, no repository, or no commit."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
