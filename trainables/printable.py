"""Text as a terminal may show it: what would steer the terminal is spelled out, what is too long is cut."""

import re

LONGEST_VALUE = 80
LONGEST_LINE = 500

_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line ends, changes of the writing direction, and bytes that were no UTF-8."""
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
"""What Python puts in the place of a byte that is no UTF-8, in the name of a file."""


def printable(text: str) -> str:
    """The text with an escape, the end of a line, a byte that is no UTF-8, and their like spelled out."""
    return _STEERING.sub(lambda found: _spelled(found[0]), text)


def cut(text: str, most: int = LONGEST_LINE) -> str:
    """The text, without its middle where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    start = most * 2 // 3
    return f"{text[:start]} … {text[start + 3 - most :]}"


def quoted(value: object) -> str:
    """A value as a message has it: as Python writes it, without its middle where it is long."""
    return cut(printable(repr(value)), LONGEST_VALUE)


def message_text(text: str) -> str:
    """A message for a terminal: each line is printable and cut."""
    return "\n".join(cut(printable(line)) for line in text.split("\n"))


def _spelled(character: str) -> str:
    code = ord(character)
    if _FIRST_BYTE <= code <= _LAST_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
