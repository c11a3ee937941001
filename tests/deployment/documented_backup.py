"""The blocks of OPERATIONS.md that back up and restore, run as they stand there.

In place of `docker` stands a program that runs what the container would run, on folders of the test and its
PostgreSQL.

"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deployment_files import PAGE

SHIM = """
import json, os, sys
words, volumes = sys.argv[1:], json.loads(os.environ["VOLUMES"])
if words[:2] == ["compose", "exec"]:
    command = words[words.index("postgres") + 1 :]
elif words[:2] == ["compose", "up"]:
    sys.exit(0)
else:
    assert words[:2] == ["run", "--rm"], words
    name, inside = words[words.index("--volume") + 1].split(":")[:2]
    command = [volumes[name] if word == inside else word for word in words[words.index("study:0.1.0") + 1 :]]
os.execvp(command[0], command)
"""


def blocks(containing: str) -> list[str]:
    """The blocks of the page with these words, in the section on back-ups."""
    section = PAGE[PAGE.index("### Back-ups") : PAGE.index("## Upgrades")]
    return [one for one in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) if containing in one]


def run_block(block: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Runs a block in `folder`; a line that fails fails the test."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block}: {done.stderr}"


def with_shim(folder: Path, volumes: Mapping[str, Path], programs: Path) -> dict[str, str]:
    """The environment in which `docker` is the program above, and PostgreSQL's are those of the test."""
    folder.mkdir(exist_ok=True)
    shim = folder / "docker"
    shim.write_text(f"#!{sys.executable}\n{SHIM}")
    shim.chmod(0o755)
    return {
        "PATH": os.pathsep.join(
            (str(folder), str(Path(sys.executable).parent), str(programs), os.environ["PATH"])
        ),
        "VOLUMES": json.dumps({name: str(place) for name, place in volumes.items()}),
    }
