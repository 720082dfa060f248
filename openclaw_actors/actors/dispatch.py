"""Dispatchers: how actors get a lane, alarms and readers; and how they are stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
import pykka

from openclaw_actors.actors.alarms import Alarm, Alarms
from openclaw_actors.actors.base import BaseActor, tell
from openclaw_actors.actors.inbox import Inbox
from openclaw_actors.actors.lanes import DispatchStats, Seat, SharedLane, ThreadLane, Witness
from openclaw_actors.clock import Clock, SystemClock
from openclaw_actors.errors import NoThreadError, NotRunningError
from openclaw_actors.reading.job import ReadJob
from openclaw_actors.reading.pool import ReaderPool

__all__ = ["Alarm", "Dispatcher", "StopReport", "ThreadedDispatcher", "stop_actors", "tell"]

A = TypeVar("A", bound=BaseActor)


class StopReport(msgspec.Struct, frozen=True):
    """What a dispatcher's stop left behind."""

    stuck_threads: tuple[str, ...] = ()
    """Names of threads that didn't end in time; they are daemons and don't keep the process alive."""
    blocking_sources: tuple[str, ...] = ()
    """Sources whose reads still block a thread."""
    live_actors: tuple[str, ...] = ()
    """Names of actors with a thread of their own that nobody has stopped."""

    @property
    def clean(self) -> bool:
        """Whether nothing was left behind."""
        return not (self.stuck_threads or self.blocking_sources or self.live_actors)


class Dispatcher(Protocol):
    """Runs actors, alarms and reads; every method is safe on any thread."""

    @property
    def clock(self) -> Clock:
        """The time by which everything here goes."""
        ...

    def spawn(
        self, actor_class: type[A], /, *args: Any, pooled: bool = False, name: str, **kwargs: Any
    ) -> pykka.ActorRef[A]:
        """Make an actor and start it, on a thread of its own or (`pooled`) on the lane that many share."""
        ...

    def tell_later(self, delay_s: float, ref: pykka.ActorRef[Any], message: object) -> Alarm:
        """Have a message told after a delay in seconds; a dead actor is passed over."""
        ...

    def read(self, job: ReadJob) -> None:
        """Have a read done off all mailboxes; `job.deliver` gets its outcome later."""
        ...

    def on_death(self, listener: Callable[[str, str, str], None]) -> None:
        """Call the listener with urn, name and reason at each actor's end, also at one that was asked for (`STOPPED`).

        It runs on the thread that the actor ran on and must return at once: it tells somebody.
        """
        ...

    def check_threads(self) -> tuple[str, ...]:
        """End the actors whose thread has ended without them, so that their deaths are told of, give those that share
        a lane another thread, and return the names of what was found; costs next to nothing when all is well.
        """
        ...

    def stop_actors(self, refs: Iterable[pykka.ActorRef[Any]], timeout_s: float) -> tuple[pykka.ActorRef[Any], ...]:
        """Stop these actors in this order and return those that didn't stop in time."""
        ...

    def stop(self, timeout_s: float) -> StopReport:
        """Stop alarms, readers and the shared lane (not the actors with threads of their own); safe to call twice."""
        ...


class ThreadedDispatcher:
    """Runs actors on real threads, all of them daemons.

    An actor of its own: `openclaw-<name>`. Pooled actors: one thread `openclaw-agents`. Alarms: `openclaw-alarms`.
    Readers: `openclaw-reader-<n>` and `openclaw-reader-watch`. Each is started by its first need and ends with
    `stop`.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        max_reader_threads: int = 16,
        stall_s: float = 0.02,
        quarantine_after: int = 3,
    ) -> None:
        self._clock = clock or SystemClock()
        self._witness = Witness()
        self._alarms = Alarms(self._clock)
        self._agents = SharedLane("openclaw-agents", self._witness)
        self._pool = ReaderPool(
            self._clock, max_threads=max_reader_threads, stall_s=stall_s, quarantine_after=quarantine_after
        )
        self._lock = threading.Lock()
        self._own_threads: dict[pykka.ActorRef[Any], tuple[ThreadLane, threading.Thread]] = {}
        self._stopped = False

    @property
    def clock(self) -> Clock:
        """The time by which everything here goes."""
        return self._clock

    def spawn(
        self, actor_class: type[A], /, *args: Any, pooled: bool = False, name: str, **kwargs: Any
    ) -> pykka.ActorRef[A]:
        """Make an actor (on the caller's thread) and start it.

        Not for an event loop's thread: starting a thread waits for it to run, some ms when another thread computes.

        Raises:
            NotRunningError: the dispatcher is stopped.
            NoThreadError: the system starts no thread now.
        """
        if self._stopped:
            raise NotRunningError("the dispatcher is stopped and starts no actors; make a new one")
        if pooled:
            ref = actor_class.start(*args, lane=Seat(name, self._agents), **kwargs)
        else:
            lane = ThreadLane(name, self._witness)
            ref = actor_class.start(*args, lane=lane, **kwargs)
            assert lane.thread is not None
            with self._lock:
                for gone in [known for known, (_, thread) in self._own_threads.items() if not thread.is_alive()]:
                    del self._own_threads[gone]
                self._own_threads[ref] = (lane, lane.thread)
        self._witness.spawned()
        return ref

    def tell_later(self, delay_s: float, ref: pykka.ActorRef[Any], message: object) -> Alarm:
        """Have a message told after a delay in seconds, counted by the clock; a dead actor is passed over."""
        return self._alarms.set(delay_s, ref, message)

    def read(self, job: ReadJob) -> None:
        """Have a read done on the pool; after `stop` it is dropped."""
        self._pool.submit(job)

    def on_death(self, listener: Callable[[str, str, str], None]) -> None:
        """Call the listener with urn, name and reason at each end of an actor, on that actor's thread."""
        self._witness.on_death(listener)

    def check_threads(self) -> tuple[str, ...]:
        """End the actors whose thread has ended without them, and give the shared lane and the alarms another thread if
        they need one; return the names of what was found.
        """
        with self._lock:
            lanes = [lane for lane, _ in self._own_threads.values()]
        found = [lane.name for lane in lanes if lane.end_if_lost()]
        with contextlib.suppress(NoThreadError):  # it is tried again at the next check
            found += ["agents"] if self._agents.check() else []
            found += ["alarms"] if self._alarms.check() else []
        return tuple(found)

    def stats(self) -> DispatchStats:
        """Return what has befallen the actors."""
        return self._witness.stats()

    def stop_actors(self, refs: Iterable[pykka.ActorRef[Any]], timeout_s: float) -> tuple[pykka.ActorRef[Any], ...]:
        """Stop these actors in this order, wait for their threads, and return those that didn't stop in time."""
        until = time.monotonic() + timeout_s
        wanted = tuple(refs)
        stuck = stop_actors(wanted, timeout_s)
        self._join_stopped(until)
        return stuck

    def stop(self, timeout_s: float) -> StopReport:
        """Stop alarms, readers and the shared lane with whoever sits on it; safe to call twice and on any thread."""
        until = time.monotonic() + timeout_s
        self._stopped = True
        threads = [self._alarms.stop(until - time.monotonic()), self._agents.stop(until - time.monotonic())]
        blocking = self._pool.stop(until - time.monotonic())
        alive = self._join_stopped(until)
        return StopReport(
            stuck_threads=tuple(thread.name for thread in threads if thread is not None)
            + tuple(thread.name for ref, (_, thread) in alive.items() if not ref.is_alive()),
            blocking_sources=blocking,
            live_actors=tuple(lane.name for ref, (lane, _) in alive.items() if ref.is_alive()),
        )

    def _join_stopped(self, until: float) -> dict[pykka.ActorRef[Any], tuple[ThreadLane, threading.Thread]]:
        """Wait for the threads of stopped actors and return those that are still there."""
        with self._lock:
            known = dict(self._own_threads)
        left: dict[pykka.ActorRef[Any], tuple[ThreadLane, threading.Thread]] = {}
        for ref, (lane, thread) in known.items():
            if not ref.is_alive() and thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                left[ref] = (lane, thread)
        with self._lock:
            for ref in known.keys() - left.keys():
                self._own_threads.pop(ref, None)
        return left


def stop_actors(refs: Iterable[pykka.ActorRef[Any]], timeout_s: float) -> tuple[pykka.ActorRef[Any], ...]:
    """Stop real actors in the given order within one deadline, and return those that didn't stop; safe on any thread.

    Each is waited for before the next is asked, except that neighbours on one shared lane are asked together: they take
    turns on one thread anyway, and a round trip each would cost seconds for 10,000. One that hangs may use up half of
    the time that is left, so it can't keep the others from being stopped in order. An actor that runs on the calling
    thread is asked and not waited for: it stops when its handler returns.
    """
    until = time.monotonic() + timeout_s
    stuck: list[tuple[pykka.ActorRef[Any], pykka.Future[bool]]] = []
    for group in _groups(tuple(refs)):
        asked = [(ref, ref.stop(block=False)) for ref in group]
        group_until = time.monotonic() + max(0.0, until - time.monotonic()) / 2
        stuck.extend(pair for pair in asked if not _stops(*pair, group_until))
    return tuple(ref for ref, future in stuck if not _stops(ref, future, until))


def _groups(refs: Sequence[pykka.ActorRef[Any]]) -> list[list[pykka.ActorRef[Any]]]:
    groups: list[list[pykka.ActorRef[Any]]] = []
    lane: int | None = None
    for ref in refs:
        inbox = ref.actor_inbox
        shared = inbox.runner if isinstance(inbox, Inbox) and inbox.shared else None
        if groups and shared is not None and shared == lane:
            groups[-1].append(ref)
        else:
            groups.append([ref])
        lane = shared
    return groups


def _stops(ref: pykka.ActorRef[Any], future: pykka.Future[bool], until: float) -> bool:
    inbox = ref.actor_inbox
    own = isinstance(inbox, Inbox) and inbox.runner == threading.get_ident()
    try:
        future.get(timeout=0.0 if own else max(0.0, until - time.monotonic()))
    except pykka.Timeout:
        return False
    return True
