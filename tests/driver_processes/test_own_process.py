"""The last steps of a study in a process of their own: what they say, return and raise arrives, and they end
with their driver.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from study.driver.own_process import in_own_process
from study.errors import SpecError, StudyError

PATIENCE_SECONDS = 60
DRIVER = """
import sys
from study.driver.own_process import in_own_process
if __name__ == "__main__":
    in_own_process("test_own_process:tells_and_waits", sys.argv[1], say=lambda text: print(text, flush=True))
"""


def adds(first: int, second: int, *, say: Callable[[str], object]) -> tuple[int, int]:
    """A result, and the process that it comes from."""
    say(f"adding {first} and {second}")
    return first + second, os.getpid()


def refuses(*, say: Callable[[str], object]) -> None:
    """A person's mistake."""
    say("looking")
    raise SpecError("no such thing; name another")


def dies(*, say: Callable[[str], object]) -> None:
    """As where the memory ends."""
    os.kill(os.getpid(), signal.SIGKILL)


def tells_and_waits(file: str, *, say: Callable[[str], object]) -> None:
    """Work that goes on for long."""
    Path(file).write_text(str(os.getpid()))
    say("waiting")
    time.sleep(600)


def test_what_it_says_returns_and_raises_arrives() -> None:
    said: list[str] = []
    total, process = in_own_process("test_own_process:adds", 1, 2, say=said.append)
    assert (total, said) == (3, ["adding 1 and 2"])
    assert process != os.getpid()
    assert not psutil.pid_exists(process)
    with pytest.raises(SpecError, match="no such thing; name another"):
        in_own_process("test_own_process:refuses", say=said.append)
    assert said[-1] == "looking"
    with pytest.raises(StudyError, match=r"died \(exit code -9\); nothing measured is lost"):
        in_own_process("test_own_process:dies", say=said.append)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_its_driver(tmp_path: Path, sign: signal.Signals) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    driver = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "process")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert driver.stdout is not None
    assert driver.stdout.readline() == b"waiting\n"
    process = psutil.Process(int((tmp_path / "process").read_text()))
    driver.send_signal(sign)
    driver.wait(PATIENCE_SECONDS)
    process.wait(PATIENCE_SECONDS)
