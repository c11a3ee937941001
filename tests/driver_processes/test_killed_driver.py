"""A driver that is killed leaves processes of Ray, which the next command of its home ends."""

import json
import time
from pathlib import Path

import psutil
import pytest
import yaml
from study_process import PATIENCE_SECONDS, start, wait_until_running

from cluster.leftovers import leftovers
from study.home import Home

SPEC = {
    "study": "cut",
    "dataset": "digits",
    "search_space": "digits",
    "budget": {"trials": 1, "epochs": 60},
    "resources": {"max_concurrent": 1},
}


def living(numbers: list[int]) -> list[int]:
    return [one for one in numbers if psutil.pid_exists(one) and not is_zombie(one)]


def is_zombie(number: int) -> bool:
    try:
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.slow
def test_what_a_killed_driver_left_of_ray_is_told_and_ended(home_with_digits: Home, tmp_path: Path) -> None:
    home, file = home_with_digits, tmp_path / "cut.yaml"
    file.write_text(yaml.safe_dump(SPEC))
    driver = start(home, "run", str(file))
    wait_until_running(home, "cut", driver, num_ended=0)
    (note,) = home.ray_processes.iterdir()
    numbers = [one["process"] for one in json.loads(note.read_text())["processes"]]
    assert len(numbers) >= 4, "its two servers and two agents"
    driver.kill()
    driver.communicate(timeout=PATIENCE_SECONDS)
    time.sleep(3)  # what ends with the driver has ended
    agents = living(numbers)
    assert agents, "Ray leaves nothing behind any more: this test and its mechanism can go"

    doctor = start(home, "doctor")
    told, _ = doctor.communicate(timeout=PATIENCE_SECONDS)
    assert doctor.returncode == 1
    assert f"of Ray of driver {driver.pid}, which is dead: " in told
    assert "study cut: 2 runs in MLflow RUNNING, and no process drives it" in told
    assert living(numbers)

    resumed = start(home, "resume", "cut")
    _, said = resumed.communicate(timeout=PATIENCE_SECONDS)
    assert resumed.returncode == 0, said
    assert "of Ray that a killed driver left" in said
    assert living(numbers) == []
    assert leftovers(home.ray_processes) == ()
    after = start(home, "doctor", "--mend")
    told, _ = after.communicate(timeout=PATIENCE_SECONDS)
    assert after.returncode == 0, told
