"""Where a study comes from: the commit it runs at and the versions of what it runs on."""

import getpass
import subprocess
from importlib.metadata import PackageNotFoundError, version

from study import names

PACKAGES = ("study", "torch", "torchvision", "timm", "ray", "mlflow", "optuna", "pyarrow", "numpy")


def provenance_tags() -> dict[str, str]:
    """Tags for MLflow: the git commit of the current folder (with `+changes` if files differ from it), versions of packages, the user."""
    tags = {names.version_tag(package): found for package in PACKAGES if (found := _version(package))}
    tags |= {names.USER: getpass.getuser(), names.SOURCE: "study"}
    commit = _git("rev-parse", "HEAD")
    if commit:
        changes = "+changes" if _git("status", "--porcelain") else ""
        tags[names.COMMIT] = commit + changes
    return tags


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
