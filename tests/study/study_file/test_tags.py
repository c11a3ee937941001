"""What a person says of a study in words is bounded, and takes no name that MLflow or a study uses itself."""

import pytest

from study.errors import SpecError
from study.study_file.study_spec import StudySpec
from study.study_file.tags import LONGEST_ABOUT, LONGEST_VALUE, MOST_TAGS

BASE = {"study": "a", "dataset": "digits"}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"about": ""}, "about must say something, got ''; leave it out"),
        ({"about": " \n "}, "about must say something"),
        ({"about": "x" * (LONGEST_ABOUT + 1)}, "about must have at most 1000 characters, got 'xxx"),
        ({"about": 3}, "about must be text, got 3; put it in quotes: '3'"),
        ({"about": ["a"]}, "about must be text"),
        ({"about": "a\0"}, "about must be text without control characters, got 'a\\x00'"),
        ({"tags": {"owner": "\x1b[31mada"}}, "tags.owner must be text without control characters"),
        ({"tags": {"owner": "ada\nbob"}}, "tags.owner must be text without control characters"),
        ({"tags": ["owner"]}, "tags must be a mapping"),
        ({"tags": {"owner": 3}}, "tags.owner must be text, got 3; put it in quotes: '3'"),
        ({"tags": {"owner": ""}}, "tags.owner must not be empty"),
        ({"tags": {"owner": "x" * (LONGEST_VALUE + 1)}}, "tags.owner must have at most 250 characters"),
        ({"tags": {"a b": "x"}}, "a tag's name must be at most 64 letters"),
        ({"tags": {"a\n": "x"}}, "a tag's name must be"),
        ({"tags": {"": "x"}}, "a tag's name must be"),
        ({"tags": {"mlflow.runName": "x"}}, "tags.mlflow.runName cannot be set"),
        ({"tags": {"study.name": "x"}}, "tags.study.name cannot be set"),
        ({"tags": {"Study.Name": "x"}}, "cannot be set: MLflow and studies have tags of their own"),
        ({"tags": {"model": "x"}}, "choose another one, such as 'our-model'"),
        ({"tags": {f"t{number}": "x" for number in range(MOST_TAGS + 1)}}, "tags must be at most 20, got 21"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_text_or_no_free_name_is_refused(written: dict[str, object], told: str) -> None:
    with pytest.raises(SpecError) as refused:
        StudySpec.parse({**BASE, **written})
    assert told in str(refused.value)
    assert len(str(refused.value)) < 600
    assert "\n" not in str(refused.value)


def test_words_are_kept_as_they_are_written() -> None:
    tree = {**BASE, "about": "Two lines,\nof text: ✓", "tags": {"owner": "ada", "ticket": "X-12: 50 %"}}
    spec = StudySpec.parse(tree)
    assert StudySpec.parse(spec.to_dict()) == spec
    assert (spec.about, dict(spec.tags)) == (tree["about"], tree["tags"])
