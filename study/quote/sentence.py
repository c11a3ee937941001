"""The quote in a sentence, and where its numbers come from."""

import time

from study.quote.amount import Range, duration_text, range_text, rounded
from study.quote.quote import Quote

_A_DAY = 86_400


def quote_sentence(quote: Quote, now: float | None = None) -> str:
    """Such as `40 trials, about 310 epochs after early stopping, 2 h 10 min on 2 CPU cores (1 h 30 min to
    3 h), done by about 17:40; confirmation 35 min more`.

    `now` are seconds since 1970; the present where it is not given.
    """
    now = time.time() if now is None else now
    parts = [_counted(quote.num_trials, "trial"), _epochs_text(quote)]
    searching = quote.search_seconds
    if searching is None:
        return f"{', '.join(parts)}; how long that takes is not known: {quote.failure}"
    text = (
        f"{', '.join(parts)}, {duration_text(searching.expected)} on {quote.site.devices_text}"
        f"{_between(searching)}, done by about {_clock(now, searching.expected)}"
    )
    confirming, total = quote.confirmation_seconds, quote.total_seconds
    if confirming is not None and total is not None:
        text += f"; confirmation {duration_text(confirming.expected)} more ({_clock(now, total.expected)})"
    if quote.price is not None and total is not None:
        text += f"; about {quote.price.text(total.expected)}"
        text += f" ({quote.price.number(total.low)} to {quote.price.number(total.high)})"
    return text


def source_sentences(quote: Quote) -> tuple[str, ...]:
    """Where the numbers come from: how many trials run at once, and how epochs were counted."""
    sentences = []
    if quote.search_seconds is not None:
        sentences.append(_at_once(quote))
    sentences.append(f"Epochs: {quote.epochs.source}.")
    if quote.site.is_cluster and quote.search_seconds is not None:
        sentences.append(
            "Studies share the cluster, so it takes longer beside others; see them: study queue."
        )
    if quote.was_disturbed:
        sentences.append(
            "Other work ran while this machine was measured; on a quiet one: study check --measure."
        )
    if quote.failure is not None and quote.search_seconds is not None:
        sentences.append(f"Not all was measured: {quote.failure}.")
    return tuple(sentences)


def _at_once(quote: Quote) -> str:
    num = quote.site.num_slots
    if num == 1:
        return "One trial runs at a time."
    percent = round((quote.slowdown - 1) * 100)
    slower = f", each {percent} % slower than alone" if percent else ""
    return f"{num} trials run at once{slower}."


def _epochs_text(quote: Quote) -> str:
    found = quote.epochs.range
    if found.low == found.high:
        return _counted(round(found.expected), "epoch")
    return f"about {rounded(found.expected)} epochs after early stopping"


def _between(amount: Range) -> str:
    text = range_text(amount)
    return f" ({text})" if " to " in text else ""


def _clock(now: float, seconds: float) -> str:
    """When so many seconds are over, here: with the day where that is not today."""
    then, today = time.localtime(now + seconds), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%a %H:%M" if seconds < 6 * _A_DAY else "%Y-%m-%d", then)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
