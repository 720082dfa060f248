"""Gaps of an event loop: ticks a millisecond apart, begun before any load, each asked how late it came.

A tick that is due while the loop is kept from running comes late by as long as that lasted; the next one is due a
millisecond after it came. asyncio rounds its timers up to the clock of its selector, so a tick is up to a millisecond
late with nothing going on: compare with the same loop idle.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

TICK_S = 0.001
"""How far ticks are apart, in seconds."""


class LoopTicks:
    """Ticks on the running loop for as long as the `with` lasts."""

    def __init__(self) -> None:
        self.began_at = 0.0
        """When the first tick was set (`time.perf_counter`)."""
        self.ticks: list[tuple[float, float]] = []
        """(seconds since then, lateness in milliseconds)."""
        self._awaited = 0
        self._are_there = asyncio.Event()
        self._due = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None

    @property
    def now_s(self) -> float:
        """The present, in the seconds of the ticks."""
        return time.perf_counter() - self.began_at

    def within(self, spans: Iterable[tuple[float, float]]) -> list[float]:
        """Return the lateness of the ticks that were due, or came, within some spans of time, in milliseconds."""
        return [late for _, late in self.pairs_within(spans)]

    def pairs_within(self, spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        """Return the ticks that were due, or came, within some spans of time."""
        found = list(spans)
        return [
            (at, late) for at, late in self.ticks if any(low <= at and at - late / 1000 <= high for low, high in found)
        ]

    async def until(self, count: int) -> None:
        """Wait until there are so many ticks, more than there are."""
        self._awaited, self._are_there = count, asyncio.Event()
        await self._are_there.wait()

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.began_at = time.perf_counter()
        self._arm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self) -> None:
        assert self._loop is not None
        self._due = time.perf_counter() + TICK_S
        self._handle = self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.ticks.append((now - self.began_at, max(0.0, now - self._due) * 1000))
        if len(self.ticks) == self._awaited:
            self._are_there.set()
        self._arm()


def thinned(ticks: Iterable[tuple[float, float]], step_s: float) -> list[tuple[float, float]]:
    """Return the latest tick of each step of time: what a plot can show, with no gap lost."""
    worst: dict[int, tuple[float, float]] = {}
    for at, late in ticks:
        step = int(at / step_s)
        if step not in worst or late > worst[step][1]:
            worst[step] = (at, late)
    return [(round(at, 4), round(late, 3)) for at, late in worst.values()]
