"""`study check` on a real Ray cluster: what a study will take there, by steps of one of its machines."""

import json

import pytest
import yaml
from laptop import Laptop

pytestmark = pytest.mark.slow  # a head, a node and a server start for it

MEASURING = "step, once for this cluster: about"


def test_a_study_is_quoted_by_the_machines_that_would_run_it(laptop: Laptop) -> None:
    file = laptop.folder / "quoted.yaml"
    spec = {
        "study": "quoted",
        "dataset": "digits",
        "search_space": "digits",
        "budget": {"trials": 20, "epochs": 4},
        "early_stopping": "none",
    }
    file.write_text(yaml.safe_dump(spec))
    at_home = ("--home", str(laptop.home.folder))
    first = laptop.study("check", str(file), *at_home)
    assert first.returncode == 0, first.stdout + first.stderr
    assert MEASURING in first.stderr
    quoted = " ".join(first.stdout.split())
    assert "20 trials, 80 epochs, " in quoted
    assert " on the cluster's 3 CPU cores (" in quoted
    assert "3 trials run at once." in quoted
    assert "Studies share the cluster, so it takes longer beside others; see them: study queue." in quoted
    assert quoted.endswith("The study can run. Next: study submit, with the same file")

    again = laptop.study("check", str(file), "--json", *at_home)
    assert again.returncode == 0, again.stderr
    assert MEASURING not in again.stderr, "the cluster's STUDY_HOME keeps what was measured"
    quote = json.loads(again.stdout)["quote"]
    assert (quote["trials_at_once"], quote["failure"]) == (3, None)
    assert 0 < quote["search_seconds"]["low"] < quote["search_seconds"]["high"]

    file.write_text(yaml.safe_dump({**spec, "resources": {"cpus_per_trial": 64}}))
    refused = laptop.study("check", str(file), *at_home)
    assert refused.returncode == 2
    assert "resources.cpus_per_trial asks for 64 on one machine" in refused.stderr
