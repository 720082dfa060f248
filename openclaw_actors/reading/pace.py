"""How a thread that computes lets the others have the interpreter."""

from __future__ import annotations

import threading
import time

from openclaw_actors.forking import call_in_children

WORK_S = 0.001
"""Seconds of work after which a thread takes a breath."""

QUICK_S = 0.001
"""Seconds after which a thread that is woken again has not been woken quickly."""

TURN_S = 0.05
"""Seconds that a thread waits for its turn at most: taking turns is a courtesy, nothing depends on it."""

MANY = 4
"""How often in a row a thread is woken quickly before it dozes: one change of one file wakes a thread less often."""

DOZE_S = 0.0005
"""Seconds that a thread dozes."""

BREATH_S = 0.00005
"""Seconds that a breath asks for; with the kernel's timer slack it takes about twice that."""


_TURN = threading.Lock()


def _renew_turn() -> None:
    global _TURN
    _TURN = threading.Lock()  # who held it may not be there in a forked child


call_in_children(_renew_turn)


class Pace:
    """Reminds one thread to give the interpreter lock away about every millisecond; not shared between threads.

    Measured (CPython 3.11, 2 cores, 10-100 us units of json decoding beside an asyncio loop that ticks each
    millisecond; lateness of the tick as p50 / p99 in ms; the share of time lost to breathing):

    | between units, once per ms of work | p50 | p99 | lost |
    |---|---|---|---|
    | nothing (the interpreter's 5 ms switch interval) | 5.3 | 10.4 | 0 % |
    | `os.sched_yield()` | 1.1 | 575-1,760: the lock is taken back before the loop wakes | 2 % |
    | `time.sleep(0)` | 0.11 | 1.2, worst 25 | 9 % |
    | **`time.sleep(50e-6)`** | **0.14** | **0.23** | **12 %** |
    | `time.sleep(500e-6)` | 0.6 | 0.7 | 38 % |
    | (no such thread at all) | 0.10 | 0.30 | |

    Only a sleep long enough for the waiting thread to wake up hands the lock over for sure; one of 50 us is.
    """

    __slots__ = ("_held", "_is_out", "_quick", "_since")

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._quick = 0
        self._held: list[threading.Lock] = []
        self._is_out = False

    def breathe(self) -> None:
        """Sleep for a moment if a millisecond of work has passed since the last breath or rest."""
        if time.perf_counter() - self._since >= WORK_S:
            had_turn = self.leave_turn()
            time.sleep(BREATH_S)
            if had_turn:
                self.take_turn()
            self._since = time.perf_counter()

    def take_turn(self) -> None:
        """Wait until no other thread of the package computes; not for longer than `TURN_S`, whatever happens.

        Threads that compute at the same time don't get more done, having one interpreter; but an event loop beside them
        has to wait for each of them in turn before it gets the interpreter.
        """
        turn = _TURN
        if not self._is_out and turn.acquire(timeout=TURN_S):
            self._held.append(turn)
            if self._is_out:
                self.leave_turn()
        self._since = time.perf_counter()

    def retire(self) -> None:
        """Let another thread compute, for good: the thread of this pace hangs, and when it comes back it is not waited
        for any more.
        """
        self._is_out = True
        self.leave_turn()

    def leave_turn(self) -> bool:
        """Let another thread compute, and return whether it was this pace's turn. Any thread may call it for one that
        is stuck.
        """
        try:
            turn = self._held.pop()
        except IndexError:
            return False
        turn.release()
        return True

    def rested(self) -> None:
        """Take note that the thread has just waited for something, which gave the lock away too."""
        now = time.perf_counter()
        self._quick = self._quick + 1 if now - self._since < QUICK_S else 0
        self._since = now

    def doze(self) -> None:
        """Sleep for a moment before waiting, if the thread was woken again and again: what comes meanwhile is done in
        one go. A thread that is woken for each of a thousand messages takes the interpreter from the one that sends
        them a thousand times (measured in a warm of 1,000 agents: twice the switches and 1.2 times the time).
        """
        if self._quick >= MANY:
            time.sleep(DOZE_S)


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.pace = Pace()


_OF_THREAD = _OfThread()


def pace_of_this_thread() -> Pace:
    """Return the pace by which the calling thread goes."""
    return _OF_THREAD.pace


def give_way() -> None:
    """Let other threads have the interpreter, if the calling one has computed for a millisecond or so.

    For loops over what there may be thousands of: without it the interpreter asks for the lock only after 5 ms, and an
    event loop beside it stands still for as long. It sleeps for some 50 µs then, and waits for nothing else.
    """
    _OF_THREAD.pace.breathe()
