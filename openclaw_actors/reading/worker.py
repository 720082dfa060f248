"""A worker of the reader pool, and what the pool tells of all of them."""

from __future__ import annotations

import threading

import msgspec

from openclaw_actors.reading.job import ReadJob
from openclaw_actors.reading.pace import Pace


class ReaderStats(msgspec.Struct, frozen=True):
    """What a reader pool is doing (the first five) and has done (the rest, which only grow)."""

    threads: int
    """Workers alive, abandoned ones not counted."""
    running: int
    """Workers that hold the right to compute: 0 or 1, a little more while blocked ones come back."""
    blocked: int
    """Workers whose read has taken longer than the stall time."""
    abandoned: int
    """Threads whose read overran and hasn't come back."""
    pending: int
    """Jobs that wait."""
    finished: int
    """Reads that returned in time."""
    failed: int
    """Reads that raised in time."""
    overran: int
    """Reads given up at their deadline."""
    quarantined: int
    """Jobs refused because reads of their source hang."""
    late: int
    """Results that came after the deadline."""
    dropped: int
    """Jobs dropped, and results not delivered, because of `stop`."""


class Worker:
    """One pool thread and the read that it is on; all fields belong to the pool's lock."""

    __slots__ = ("abandoned", "blocked", "gate", "granted", "job", "pace", "started_at", "thread")

    def __init__(self, lock: threading.Lock) -> None:
        self.gate = threading.Condition(lock)
        self.granted = True  # holds the right to run
        self.blocked = False
        self.abandoned = False
        self.job: ReadJob | None = None
        self.started_at = 0.0
        self.thread: threading.Thread | None = None
        self.pace: Pace | None = None

    @property
    def has_ended(self) -> bool:
        """Whether its thread was started and runs no more."""
        thread = self.thread
        return thread is not None and thread.ident is not None and not thread.is_alive()
