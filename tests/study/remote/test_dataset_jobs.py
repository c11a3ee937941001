"""A request to add a dataset arrives on the cluster as it was asked for."""

import pytest

from study.errors import SpecError
from study.remote.dataset_jobs import AddRequest
from trainables.datasets.options import AddOptions


def test_a_request_travels_whole() -> None:
    options = AddOptions(
        image_size=32,
        classes=("a", "b"),
        relabel={"both": ("a", "b")},
        group_pattern=r"^(S\d+)_",
        validation_fraction=0.2,
        licence="research only",
        replace=True,
    )
    request = AddRequest(name="photos", source="/shared/ü b", options=options, publish="s3://b/f")
    assert AddRequest.from_bytes(request.to_bytes()) == request
    with pytest.raises(ValueError, match="no request"):
        AddRequest.from_bytes(b"{}")


def test_a_path_that_only_this_machine_understands_is_refused() -> None:
    with pytest.raises(SpecError, match=r"--from takes the whole path .* got 'photos'"):
        AddRequest(name="photos", source="photos", options=AddOptions())
