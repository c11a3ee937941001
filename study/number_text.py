"""How numbers look in a table or a sentence."""


def number_text(value: object) -> str:
    """A value as a table shows it; nothing for None."""
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
