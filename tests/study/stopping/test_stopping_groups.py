"""What may be compared with what: heads trained alone with their like, by the epochs that a training really
has.
"""

import pytest

from search_spaces.space import Point
from study.stopping.groups import group_at

ALL_STAGES = 4
WAYS: list[tuple[Point, str]] = [
    ({}, "nnnnnnnnnn"),
    ({"fine_tuning": "suffix", "freeze_depth": 2}, "nnnnnnnnnn"),
    ({"fine_tuning": "suffix", "freeze_depth": ALL_STAGES}, "hhhhhhhhhh"),
    ({"fine_tuning": "layer_decay"}, "nnnnnnnnnn"),
    ({"fine_tuning": "lp_ft", "probe_fraction": 0.3}, "hhhnnnnnnn"),
    ({"fine_tuning": "gradual", "probe_fraction": 0.2, "polish_fraction": 0.2}, "hhnnnnnnnn"),
]


@pytest.mark.parametrize(("way", "expected"), WAYS)
def test_heads_are_alone_until_anything_else_has_trained(way: Point, expected: str) -> None:
    groups = [group_at({"architecture": "resnet18", **way}, epoch, 10) for epoch in range(1, 11)]
    assert "".join(group[0] for group in groups) == expected


def test_a_point_that_names_no_architecture_has_the_usual_one() -> None:
    assert group_at({"fine_tuning": "suffix", "freeze_depth": ALL_STAGES}, 1, 10) == "head"


def test_whole_epochs_count_not_the_share_that_was_asked_for() -> None:
    point: Point = {"architecture": "resnet18", "fine_tuning": "lp_ft", "probe_fraction": 0.2}
    assert [group_at(point, epoch, 9) for epoch in (1, 2, 3)] == ["head", "head", "network"], (
        "0.2 of 9 epochs are trained as 2"
    )
