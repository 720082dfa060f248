"""Time as the package sees it: one protocol, so that tests can own the clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time in seconds; safe on any thread."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for durations and deadlines; only differences mean anything."""
        ...

    def epoch(self) -> float:
        """Return seconds since 1970 (UTC), for what is compared with times on disk; it may jump."""
        ...


class SystemClock:
    """The machine's own clocks.

    `monotonic` counts the time that a suspended machine sleeps where the system offers such a clock (Linux
    CLOCK_BOOTTIME): with the ordinary monotonic clock the alarm for an expiry would ring as many hours late as the
    laptop was shut. So its values are compared with each other only, never with `time.monotonic()`.
    """

    def __init__(self) -> None:
        self._boot_clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
        if self._boot_clock is not None:
            try:
                time.clock_gettime(self._boot_clock)
            except OSError:  # the name is there, the kernel (or a sandbox) hasn't got the clock
                self._boot_clock = None

    def monotonic(self) -> float:
        """Return seconds that never go back, suspended time included where the system can tell."""
        if self._boot_clock is None:
            return time.monotonic()
        return time.clock_gettime(self._boot_clock)

    def epoch(self) -> float:
        """Return seconds since 1970 (UTC)."""
        return time.time()
