"""Where results are printed."""

from rich.console import Console


def console() -> Console:
    """The terminal's stdout; wide where it is a pipe, as tables must not be folded at 80 characters there."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=200)
