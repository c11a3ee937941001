"""What a study ran on: packages, machine, and the difference of the current folder from its commit."""

import os
import platform
import re
import sys
from importlib.metadata import distributions
from typing import Any

import psutil

from study.provenance import git

MAX_DIFF_BYTES = 1_000_000
PRIVATE = (
    "*.env*",
    "*.pem",
    "*.key",
    "*.p12",
    "*secret*",
    "*credential*",
    "*password*",
    "*token*",
    "*id_rsa*",
)
"""Files whose changes the diff leaves out."""

_ASSIGNED = re.compile(
    r"""((?:passw(?:or)?d|passphrase|secret|credential|token|api[_-]?key|access[_-]?key|private[_-]?key)"""
    r"""[\w-]*["']?\s*(?::[^=\n]{0,40}=|=>|:=|[=:])\s*)(?![{\[(])[^\s,;)}\]]+.*""",
    re.IGNORECASE,
)
"""A name that suggests a secret, what assigns to it, and the rest of the line."""
_IN_ADDRESS = re.compile(r"(://[^:/@\s]*:)[^@/\s]+@")


def environment() -> dict[str, Any]:
    """Python, system, machine and the versions of all installed packages, as plain values. No environment
    variables.
    """
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gigabytes": round(psutil.virtual_memory().total / 1e9, 1),
        "gpus": _gpus(),
        "packages": dict(sorted({(one.name, one.version) for one in distributions() if one.name})),
    }


def local_changes() -> str | None:
    """The diff of the files that git tracks against the commit, at most 1 MB of it; None where there is none.

    Untracked files are not in it, nor files whose names suggest keys and passwords; in the others, values of
    names that suggest them are masked.
    """
    changes = git(
        "diff",
        "--no-ext-diff",
        "--no-color",
        "HEAD",
        "--",
        ":(top)",
        *(f":(top,exclude,icase){name}" for name in PRIVATE),
    )
    if not changes:
        return None
    changes = masked_secrets(changes)
    content = changes.encode()
    if len(content) <= MAX_DIFF_BYTES:
        return changes + "\n"
    return (
        content[:MAX_DIFF_BYTES].decode(errors="ignore")
        + f"\n… cut here: the diff has {len(content):,} bytes\n"
    )


def masked_secrets(text: str) -> str:
    """The text with stars for what is assigned to a name such as password or API key, and for the password of
    an address.
    """
    return _IN_ADDRESS.sub(r"\1***@", _ASSIGNED.sub(r"\1***", text))


def _processor() -> str:
    """Its model, which `platform` does not know on Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        models = []
    return models[0] if models else platform.processor()


def _gpus() -> list[str]:
    """Models of this machine's NVIDIA GPUs, by their driver, so that torch need not be imported."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return [
            str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index)))
            for index in range(pynvml.nvmlDeviceGetCount())
        ]
    except pynvml.NVMLError:
        return []
