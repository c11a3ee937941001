"""The operator's policy for the queue, what is wrong with one, and the file of GPU hours."""

import json
from pathlib import Path

import pytest

from cluster.errors import PolicyError
from cluster.gpu_hours import GpuHours
from cluster.queue_policy import Allowance, read_policy

GOOD = """
everybody: {max_priority: 5, cap: 0.5, gpu_hours_per_month: 400}
people:
  ada: {max_priority: 100, gpu_hours_per_month: null}
gpu_hours_file: /study/gpu_hours.json
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "queue.yaml"
    file.write_text(text)
    return file


def test_a_person_has_what_everybody_has_but_for_what_is_said_of_them(tmp_path: Path) -> None:
    policy = read_policy(write(tmp_path, GOOD))
    assert policy.of("ben") == Allowance(max_priority=5, cap=0.5, gpu_hours_per_month=400)
    assert policy.of("ada") == Allowance(max_priority=100, cap=0.5, gpu_hours_per_month=None)
    assert read_policy(write(tmp_path, "# nothing yet\n")).of("ada") == Allowance()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "everybody: {max_priority: high}",
            "everybody.max_priority: Input should be a valid integer, got 'high'",
        ),
        ("everybody: {cap: 1.5}", "everybody.cap: Input should be less than or equal to 1, got 1.5"),
        ("people: {ada: {gpu_hours: 5}}", "people.ada.gpu_hours: Extra inputs are not permitted, got 5"),
        ("everybody: {gpu_hours_per_month: 5}", "gpu_hours_per_month needs gpu_hours_file"),
        ("gpu_hours_file: hours.json", "gpu_hours_file is an absolute path, .*, got 'hours.json'"),
        ("everybody: [1", "is not YAML: .* line 1"),
        ("- 5", "Input should be a valid dictionary"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_file_the_rule_and_the_value(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(PolicyError, match=problem) as raised:
        read_policy(file)
    assert str(raised.value).startswith(f"the policy of the cluster's queue, STUDY_QUEUE_POLICY={file}, ")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_missing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"nowhere\.yaml, cannot be read: No such file"):
        read_policy(tmp_path / "nowhere.yaml")


def test_a_file_of_hours_that_cannot_be_read_is_never_written_over(tmp_path: Path) -> None:
    file, now = tmp_path / "hours.json", [1_790_000_000.0]
    file.write_text("half a li")
    hours = GpuHours(clock=lambda: now[0])
    hours.keep_in(file)
    assert f"gpu_hours_file {file} cannot be read" in str(hours.problem)
    now[0] += 3600
    hours.count({"ada": 3600.0})
    assert (file.read_text(), hours.this_month("ada")) == ("half a li", 1.0)
    file.write_text(json.dumps({"2026-09": {"ada": 2.0}}))
    hours.keep_in(file)
    now[0] += 3600
    hours.count({"ada": 3600.0})
    assert (json.loads(file.read_text()), hours.problem) == ({"2026-09": {"ada": 4.0}}, None)


def test_hours_that_cannot_be_written_are_a_problem_and_no_error(tmp_path: Path) -> None:
    now = [1_790_000_000.0]
    hours = GpuHours(clock=lambda: now[0])
    hours.keep_in(tmp_path / "gone" / "hours.json")
    now[0] += 3600
    hours.count({"ada": 3600.0})
    assert "cannot be written" in str(hours.problem)
    assert hours.this_month("ada") == 1.0
