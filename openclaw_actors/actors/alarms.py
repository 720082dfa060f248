"""Messages that are told later: one thread and a heap for all of them."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from typing import Any, Protocol

import pykka

from openclaw_actors.actors.base import tell
from openclaw_actors.clock import Clock
from openclaw_actors.errors import NoThreadError
from openclaw_actors.log import log
from openclaw_actors.reading.job import describe_error

LONGEST_WAIT_S = 30.0
"""No wait is longer than this: the system's waits don't count the time that a machine is suspended, while
`SystemClock` does, so an alarm that came due meanwhile rings at most this many seconds after the machine wakes up."""

_SWEEP_AT = 64


class Alarm(Protocol):
    """A message that will be told, unless it is called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has rung or was called off already, and safe on any thread."""
        ...


class _Entry:
    """One alarm in the heap."""

    __slots__ = ("_alarms", "due", "message", "ref")

    def __init__(self, alarms: Alarms, due: float, ref: pykka.ActorRef[Any], message: object) -> None:
        self._alarms = alarms
        self.due = due
        self.ref: pykka.ActorRef[Any] | None = ref
        self.message: object = message

    def cancel(self) -> None:
        """Call the alarm off; its message is let go at once, its place in the heap later."""
        self._alarms.cancel(self)


class Alarms:
    """Tells messages when they are due; the daemon thread `openclaw-alarms` is started by the first one.

    The thread sleeps until the earliest alarm is due and, after each wake-up, asks the clock again: an early or late
    wake-up changes nothing, and none is rung before its time. With no alarm set it waits without a timeout.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._heap: list[tuple[float, int, _Entry]] = []
        self._due: deque[tuple[pykka.ActorRef[Any], object]] = deque()
        """Alarms that ring now; the thread's alone."""
        self._order = itertools.count()
        self._cancelled = 0
        self._rung = 0
        self._thread: threading.Thread | None = None
        self._stopped = False

    def set(self, delay_s: float, ref: pykka.ActorRef[Any], message: object) -> Alarm:
        """Have a message told after the delay (at once if it isn't positive); after `stop` nothing is told any more."""
        entry = _Entry(self, self._clock.monotonic() + max(0.0, delay_s), ref, message)
        with self._changed:
            if self._stopped:
                entry.ref = None
                return entry
            heapq.heappush(self._heap, (entry.due, next(self._order), entry))
            if self._thread is None:
                self._thread = self._started()
            elif self._heap[0][2] is entry:  # only an alarm that is now the earliest changes when to wake up
                self._changed.notify()
        return entry

    def cancel(self, entry: _Entry) -> None:
        """Call an alarm off; the heap is swept when most of it is such leftovers."""
        with self._changed:
            if entry.ref is None:
                return
            entry.ref = entry.message = None
            self._cancelled += 1
            if self._cancelled > _SWEEP_AT and self._cancelled * 2 > len(self._heap):
                self._heap = [item for item in self._heap if item[2].ref is not None]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def check(self) -> bool:
        """Start another thread if the one that rings has ended by itself, and tell whether that was so.

        Raises:
            NoThreadError: the system has no thread left; it may be tried again.
        """
        if self._thread is None or self._thread.is_alive():
            return False
        with self._changed:
            if self._stopped or self._thread.is_alive():
                return False
            self._thread = self._started()
        return True

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="openclaw-alarms", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise NoThreadError("the system starts no thread for the alarms now") from None
        return thread

    def rung(self) -> int:
        """Return how many alarms have rung."""
        with self._changed:
            return self._rung

    def waiting(self) -> int:
        """Return how many alarms are set and not called off."""
        with self._changed:
            return sum(1 for item in self._heap if item[2].ref is not None)

    def stop(self, timeout_s: float) -> threading.Thread | None:
        """Forget all alarms and end the thread; return it if it didn't end in time (or is the caller's own)."""
        with self._changed:
            self._stopped = True
            for item in self._heap:
                item[2].ref = item[2].message = None
            self._heap = []
            thread = self._thread
            self._changed.notify()
        if thread is None:
            return None
        if thread is threading.current_thread():
            return thread
        thread.join(max(0.0, timeout_s))
        return thread if thread.is_alive() else None

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._ring()
            # nothing here raises; what was raised in this thread from elsewhere must not silence all alarms
            except BaseException as error:
                log.bind(error=describe_error(error)).error("the thread of the alarms goes on")
        self._due.clear()

    def _ring(self) -> None:
        with self._changed:
            self._wait_for_due()
        while self._due and not self._stopped:  # without the lock: a tell may call back into a lane
            try:
                tell(*self._due[0])
            except Exception:
                self._due.popleft()
                raise
            self._due.popleft()  # behind the tell: told twice is harmless, never told isn't

    def _wait_for_due(self) -> None:
        """Wait for the next alarms and take them out; called with the lock held, returns early when stopped."""
        due = self._due
        while not self._stopped:
            while self._heap and self._heap[0][2].ref is None:
                heapq.heappop(self._heap)
                self._cancelled -= 1
            now = self._clock.monotonic()
            while self._heap and self._heap[0][0] <= now:
                entry = heapq.heappop(self._heap)[2]
                if entry.ref is None:
                    self._cancelled -= 1
                    continue
                due.append((entry.ref, entry.message))
                entry.ref = entry.message = None
                self._rung += 1
            if due:
                break
            self._changed.wait(min(LONGEST_WAIT_S, self._heap[0][0] - now) if self._heap else None)
