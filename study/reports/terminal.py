"""Where results are printed, and how numbers look there."""

from rich.console import Console


def console() -> Console:
    """The terminal's stdout; wide where it is a pipe, as tables must not be folded at 80 characters there."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=200)


def number_text(value: object) -> str:
    """A value as a table shows it; nothing for None."""
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
