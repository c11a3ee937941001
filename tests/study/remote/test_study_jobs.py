"""What the jobs of a cluster say of their studies."""

import pytest

from study.names import STOPS, WAITS
from study.remote.study_jobs import state_by

STOPPING = f"{STOPS} its running trials have ended their epochs"


@pytest.mark.parametrize(
    ("job", "lines", "state"),
    [
        ("PENDING", [], "starting"),
        ("RUNNING", [], "running"),
        ("RUNNING", [f"{WAITS} slot: none is free"], "queued"),
        ("RUNNING", [f"{WAITS} slot: none is free", "1/2  trial-0000  complete"], "running"),
        ("RUNNING", [STOPPING], "stopping"),
        ("RUNNING", [STOPPING, "1/2  trial-0000  complete"], "stopping"),
        ("SUCCEEDED", [STOPPING, "stopped; nothing measured is lost"], "ended"),
    ],
)
def test_the_state_of_a_job_is_that_of_its_study(job: str, lines: list[str], state: str) -> None:
    assert state_by(job, lines) == state
