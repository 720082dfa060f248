"""Crashes at message boundaries: where an actor may end, and what it ends with."""

from __future__ import annotations

import enum
from typing import NamedTuple


class InjectedCrash(BaseException):
    """What a test has an actor raise. No Exception: a handler's own precautions must not swallow it."""


class CrashPoint(enum.StrEnum):
    """Where in the handling of one message an actor ends."""

    BEFORE = "before"
    """It dies with the message in its mailbox: nobody handles it."""
    ENTRY = "entry"
    """The handler raises before it has done anything."""
    EFFECT = "effect"
    """The handler raises right after it told somebody, asked for a read or set an alarm."""
    AFTER = "after"
    """It dies when the message is handled."""


class Crash(NamedTuple):
    """One crash that is to come."""

    point: CrashPoint
    effect: int = 1
    """After how many effects, with `CrashPoint.EFFECT`; a handler with fewer doesn't crash."""
