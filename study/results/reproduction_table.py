"""The table of reproductions: its columns and rows, in Markdown, and as plain values."""

from typing import Any

from study.results.reproduction import Reproduction, Reproductions


def markdown_table(reproductions: Reproductions) -> str:
    """The table in Markdown."""
    rows = [
        COLUMNS,
        tuple("---" for _ in COLUMNS),
        *(cells(reproduction) for reproduction in reproductions.done),
    ]
    notes = [
        f"{reproduction.recipe}: {reproduction.not_rebuilt}"
        for reproduction in reproductions.done
        if reproduction.not_rebuilt
    ]
    notes += [f"{name} was not run: {reason}" for name, reason in reproductions.not_run.items()]
    return (
        "\n".join("| " + " | ".join(row) + " |" for row in rows)
        + "\n"
        + "".join(f"\n{note}\n" for note in notes)
    )


def reproduction_dict(reproduction: Reproduction) -> dict[str, Any]:
    """Plain values for JSON."""
    return {
        **vars(reproduction),
        "mean": reproduction.mean,
        "interval": reproduction.interval,
        "verdict": reproduction.verdict,
    }


COLUMNS = (
    "recipe",
    "measure",
    "stated",
    "obtained on test",
    "95 % interval",
    "seeds",
    "validation",
    "verdict",
    "scaled down to",
)


def cells(reproduction: Reproduction) -> tuple[str, ...]:
    """One row, in the order of `COLUMNS`."""
    interval = reproduction.interval
    return (
        reproduction.recipe,
        reproduction.metric.replace("_", " "),
        "" if reproduction.stated is None else f"{reproduction.stated:.2%}",
        f"{reproduction.mean:.2%}",
        "" if interval is None else f"{interval[0]:.2%} to {interval[1]:.2%}",
        str(len(reproduction.values)),
        f"{sum(reproduction.validation) / len(reproduction.validation):.2%}",
        reproduction.verdict,
        ", ".join(reproduction.scaled_down),
    )
