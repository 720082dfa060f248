"""The bell: rung whenever something was published, for those who wait for an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple, final

from openclaw_actors.clock import Clock
from openclaw_actors.forking import mend_in_children


class _Listener(NamedTuple):
    call: Callable[[], None]
    when: Callable[[], bool] | None


@final
class Bell:
    """Wakes waiters. Ringing costs an attribute look-up when nobody waits; any thread may ring, wait and listen.

    What is waited for is looked at where the bell is rung, and only who has it is woken: a thread that wakes up at each
    of a thousand publications takes the interpreter from the one that publishes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._listeners: tuple[_Listener, ...] = ()
        mend_in_children(self)

    def after_fork(self) -> None:
        """Begin anew in a forked child: who listens here does so in the parent."""
        self._lock = threading.Lock()
        self._listeners = ()

    def ring(self) -> None:
        """Wake those whose time has come."""
        for listener in self._listeners:
            if listener.when is None or _holds(listener.when):
                listener.call()

    def wait_until(self, is_so: Callable[[], bool], timeout_s: float | None) -> bool:
        """Block until a predicate holds, looking again at each ring; return whether it does.

        The predicate is called on ringing threads too: it must be quick and wait for nothing.
        """
        until = None if timeout_s is None else self._clock.monotonic() + timeout_s
        woken = threading.Event()
        stop = self.listen(woken.set, when=is_so)
        try:
            while not is_so():
                left_s = None if until is None else until - self._clock.monotonic()
                if (left_s is not None and left_s <= 0) or not woken.wait(left_s):
                    return is_so()
                woken.clear()
            return True
        finally:
            stop()

    def listen(self, listener: Callable[[], None], *, when: Callable[[], bool] | None = None) -> Callable[[], None]:
        """Call a listener at each ring (at which something holds), on the ringing thread; both must return at once.
        Return what ends that.
        """
        entry = _Listener(listener, when)
        with self._lock:
            self._listeners = (*self._listeners, entry)

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not entry)

        return stop


def _holds(when: Callable[[], bool]) -> bool:
    try:
        return when()
    except Exception:  # it is asked again by whoever waits, and raises there
        return True
