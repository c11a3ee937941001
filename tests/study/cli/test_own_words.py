"""While a study runs, the terminal shows what the study says, and not what libraries print."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOISY = """
import json, os, subprocess, sys, warnings
from study.cli.commands.own_words import own_words
with own_words("noisy", quiet=False, verbose={verbose}) as progress:
    print("from Python")
    os.write(2, b"from C++\\n")
    warnings.warn("from a library")
    subprocess.run(["sh", "-c", "echo from a process; echo and its errors >&2"], check=True)
    progress.say("searching")
    {end}
print(json.dumps("the result"))
"""
NOISE = ("from Python", "from C++", "from a library", "from a process", "and its errors")


def run(home: Path, *, verbose: bool = False, end: str = "pass") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", NOISY.format(verbose=verbose, end=end)],
        env={**os.environ, "STUDY_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_noise_goes_into_a_file(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert json.loads(done.stdout) == "the result"
    assert done.stderr.split() == ["0s", "searching"]
    kept = (tmp_path / "library_output" / "noisy.log").read_text()
    assert all(noise in kept for noise in NOISE)
    assert "searching" not in kept


def test_verbose_shows_it(tmp_path: Path) -> None:
    done = run(tmp_path, verbose=True)
    assert all(noise in done.stdout + done.stderr for noise in NOISE)
    assert "searching" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["ValueError", "KeyboardInterrupt"])
def test_the_streams_are_the_persons_again_after_an_error(tmp_path: Path, kind: str) -> None:
    done = run(tmp_path, end=f"raise {kind}('odd')")
    assert done.returncode != 0
    assert f"{kind}: odd" in done.stderr
    says_where = f"What libraries printed is in {tmp_path / 'library_output' / 'noisy.log'}" in done.stderr
    assert says_where == (kind == "ValueError")
    assert not any(f"{noise}\n" in done.stderr for noise in NOISE)


def test_a_study_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = run(home, end="", verbose=False)
    assert (home / "library_output").exists()
    silent = "from study.cli.commands.own_words import own_words\n"
    silent += "with own_words('refused', quiet=False, verbose=False): raise SystemExit(2)"
    environment = {**os.environ, "STUDY_HOME": str(tmp_path / "new")}
    done = subprocess.run([sys.executable, "-c", silent], env=environment, check=False)
    assert done.returncode == 2
    assert not (tmp_path / "new").exists()
