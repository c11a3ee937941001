"""What a person says of a study in words: a sentence about it, and tags by which it is found again."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from study.errors import SpecError
from study.names import NAME_PATTERN, is_own_tag
from trainables.printable import cut, printable, quoted

LONGEST_ABOUT, LONGEST_VALUE, MOST_TAGS = 1000, 250, 20
"""Characters of a text and of a tag's value, and tags of a study: as much as tables and MLflow show well."""


def _words(text: str) -> str:
    if not text.strip():
        raise SpecError(f"about must say something, got {quoted(text)}; leave it out")
    check_plain("about", text.replace("\n", " ").replace("\t", " "))
    return text


def _checked(tags: Mapping[str, str]) -> Mapping[str, str]:
    if len(tags) > MOST_TAGS:
        raise SpecError(f"tags must be at most {MOST_TAGS}, got {len(tags):,}")
    for key in tags:
        if not re.fullmatch(NAME_PATTERN, key) or key.endswith("\n"):
            raise SpecError(
                "a tag's name must be at most 64 letters, digits, '-', '_' and '.', which begins with a "
                f"letter or digit, got {quoted(key)}"
            )
        if is_own_tag(key):
            raise SpecError(
                f"tags.{key} cannot be set: MLflow and studies have tags of their own by that name; choose "
                f"another one, such as 'our-{key.rpartition('.')[2]}'"
            )
        check_plain(f"tags.{key}", tags[key])
    return tags


def check_plain(key: str, text: str) -> None:
    """Raises SpecError for text with control characters: databases refuse some, and terminals obey others."""
    if printable(text) != text:
        raise SpecError(f"{key} must be text without control characters, got {quoted(text)}")


About = Annotated[str, Field(max_length=LONGEST_ABOUT), AfterValidator(_words)]
Value = Annotated[str, Field(min_length=1, max_length=LONGEST_VALUE)]
Tags = Annotated[dict[str, Value], AfterValidator(_checked)]


def wanted_tags(settings: list[str]) -> dict[str, str]:
    """The tags of `KEY=VALUE`, each. Raises SpecError where one is not written so."""
    tags: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not (key and equals):
            raise SpecError(f"--tag takes KEY=VALUE, such as owner=ada, got {quoted(setting)}")
        tags[key] = value
    return tags


def tags_text(tags: Mapping[str, str]) -> str:
    """The tags in a line: `owner=ada, purpose=baseline`."""
    return ", ".join(f"{key}={value}" for key, value in tags.items())


def has_tags(tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether all that are wanted are among the tags, with the same values."""
    return all(tags.get(key) == value for key, value in wanted.items())


def one_line(about: str) -> str:
    """The sentence without its line breaks."""
    return cut(" ".join(about.split()), LONGEST_ABOUT)
