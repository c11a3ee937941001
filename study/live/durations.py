"""Spans of time and moments, as a person reads them."""

import time


def clock(seconds: float) -> str:
    """A span of time: `52s`, `3m07s`, `2h05m`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def moment(seconds: float, now: float) -> str:
    """A moment on this machine's clock: `17:40`, or `Tue 17:40` on another day than `now`."""
    then, today = time.localtime(seconds), time.localtime(now)
    form = (
        "%H:%M" if then[:3] == today[:3] else "%a %H:%M" if abs(seconds - now) < 6 * 86400 else "%d %b %H:%M"
    )
    return time.strftime(form, then)
