"""Words for people: times, expiries, states, near misses. Pure functions."""

from __future__ import annotations

import time

from openclaw_actors.auth.verdict import State

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400

_SYMBOLS = {
    State.USABLE: ("✓", "+", "green"),
    State.REFRESHABLE: ("↻", "~", "green"),
    State.COOLDOWN: ("◷", "z", "yellow"),
    State.UNVERIFIED: ("?", "?", "yellow"),
    State.UNKNOWN: ("…", "?", "yellow"),
    State.UNRESOLVED: ("⚠", "!", "red"),
    State.REJECTED: ("✗", "x", "red"),
    State.DISABLED: ("✗", "x", "red"),
    State.EXPIRED: ("✗", "x", "red"),
    State.MALFORMED: ("✗", "x", "red"),
    State.MISSING: ("·", ".", "dim"),
}
"""State → symbol, symbol where the terminal has only ASCII, style. Never colour alone: it isn't seen by all."""


def state_label(state: State, *, ascii_only: bool = False) -> str:
    """Return a state with its symbol."""
    rich_symbol, plain_symbol, _ = _SYMBOLS[state]
    return f"{plain_symbol if ascii_only else rich_symbol} {state.value}"


def state_style(state: State) -> str:
    """Return the style (of rich) that a state is shown in."""
    return _SYMBOLS[state][2]


def clean(text: str) -> str:
    """Return a text with everything that a terminal would act upon replaced: names come from files."""
    return (
        text
        if text.isprintable()
        else "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )


_MANY_DAYS = 1_000_000
"""More days than any credential lives: a date beyond is a mistake, whose digits would fill the screen."""


def duration(seconds: float) -> str:
    """Return a length of time in one unit, rounded down: `90 s`, `45 min`, `30 h`, `3 d`."""
    whole = int(seconds)
    if whole < 2 * MINUTE_S:
        return f"{whole} s"
    if whole < 2 * HOUR_S:
        return f"{whole // MINUTE_S} min"
    if whole < 2 * DAY_S:
        return f"{whole // HOUR_S} h"
    days = whole // DAY_S
    return f"{days} d" if days < _MANY_DAYS else f"over {_MANY_DAYS} d"


def relative(moment: float, now: float) -> str:
    """Return a moment (epoch seconds) as seen from now: `in 3 d`, `2 h ago`, `just now`; never "in 0 s"."""
    distance = moment - now
    if -1 < distance <= 0:
        return "just now"
    if distance < 0:
        return f"{duration(-distance)} ago"
    return f"in {duration(distance)}" if distance >= 1 else "in less than 1 s"


def expiry(expires_at: float | None, now: float, *, has_auth: bool) -> str:
    """Return when a credential expires: `in 3 d`, `expired 2 h ago`; empty when it has no expiry.

    What only looks expired says so: a token with something to refresh it is `expired, refreshable`.
    """
    if expires_at is None:
        return ""
    if expires_at > now:
        return relative(expires_at, now)
    # a run can use it although it is past: then something refreshes it, and when it expired is of no interest
    return "expired, refreshable" if has_auth else f"expired {relative(expires_at, now)}"


def clock_time(moment: float) -> str:
    """Return the local time of day of an epoch moment, with milliseconds."""
    return f"{time.strftime('%H:%M:%S', time.localtime(moment))}.{int(moment % 1 * 1000):03d}"


def full_time(moment: float) -> str:
    """Return an epoch moment as local date and time with its offset; the bare number when no calendar has it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return f"epoch {moment:.0f}"


def milliseconds(seconds: float | None) -> str:
    """Return a short time in milliseconds."""
    if seconds is None:
        return "-"
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 model`, `2 models`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def did_you_mean(words: list[str]) -> str:
    """Return the hint that offers them; empty when there are none."""
    return f"Did you mean {' or '.join(words)}?" if words else ""
