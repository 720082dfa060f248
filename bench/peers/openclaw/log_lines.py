"""The lines of the gateway's log that tell of its pre-warm."""

from __future__ import annotations

import re

import msgspec

_WARMED = re.compile(
    r"provider auth state pre-warmed in (?P<took>\d+(?:\.\d+)?)ms(?: eventLoopMax=(?P<stall>\d+(?:\.\d+)?)ms)?"
)
_FAILED = re.compile(r"provider auth state pre-warm (?:setup )?failed: (?P<why>.*)")
_SECRET = re.compile(r"dummy-[\w-]+")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Warmed(msgspec.Struct, frozen=True):
    """The pre-warm is over, as the gateway itself counts."""

    took_s: float
    event_loop_max_s: float | None


class WarmFailed(msgspec.Struct, frozen=True):
    """The pre-warm failed."""

    why: str


def read_line(line: str) -> Warmed | WarmFailed | None:
    """Return what a line says of the pre-warm; None when it says nothing."""
    if found := _WARMED.search(line):
        stall = found["stall"]
        return Warmed(float(found["took"]) / 1000, float(stall) / 1000 if stall else None)
    if found := _FAILED.search(line):
        return WarmFailed(found["why"].strip())
    return None


def shown(text: str, *paths: str) -> str:
    """Return text of a peer as it may be shown: without colours, the home's keys and these paths."""
    plain = _SECRET.sub("dummy-…", _COLOUR.sub("", text))
    for path in paths:
        plain = plain.replace(path, "…")
    return plain
