"""The bell: rung whenever something was published, for those who wait for an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import final

from openclaw_actors.clock import Clock


@final
class Bell:
    """Wakes waiters. Ringing costs an attribute look-up when nobody waits; any thread may ring, wait and listen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._condition = threading.Condition()
        self._waiting = 0
        self._listeners: tuple[Callable[[], None], ...] = ()

    def ring(self) -> None:
        """Wake all who wait."""
        if self._waiting:
            with self._condition:
                self._condition.notify_all()
        for listener in self._listeners:
            listener()

    def wait_until(self, is_so: Callable[[], bool], timeout_s: float | None) -> bool:
        """Block until a predicate holds, looking again at each ring; return whether it does."""
        until = None if timeout_s is None else self._clock.monotonic() + timeout_s
        with self._condition:
            self._waiting += 1
            try:
                while not is_so():
                    left_s = None if until is None else until - self._clock.monotonic()
                    if left_s is not None and left_s <= 0:
                        return False
                    # a ring between the look and the wait is lost only for this long
                    self._condition.wait(0.05 if left_s is None else min(0.05, left_s))
                return True
            finally:
                self._waiting -= 1

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a listener at each ring, on the ringing thread; it must return at once. Return what ends that."""
        with self._condition:
            self._listeners = (*self._listeners, listener)

        def stop() -> None:
            with self._condition:
                self._listeners = tuple(one for one in self._listeners if one is not listener)

        return stop
