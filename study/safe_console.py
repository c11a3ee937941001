"""A terminal on which a name can neither be an order nor break a table."""

from typing import Any

from rich.console import Console
from rich.errors import MarkupError
from rich.markup import escape
from rich.text import Text

from trainables.printable import printable


class SafeConsole(Console):
    """A console that spells out escapes, and prints as it is what is no markup after all.

    Names in brackets still look as they are written only where they went through `literal`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text that a table or a line shows for a string."""
        text = "\n".join(printable(line) for line in text.split("\n"))
        try:
            return super().render_str(text, **options)
        except MarkupError:
            return super().render_str(text, **{**options, "markup": False})


def literal(name: object) -> str:
    """A name that somebody else gave, in markup: every character is shown, none is obeyed."""
    return escape(printable(str(name)))
