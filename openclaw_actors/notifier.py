"""The notifier: hands each change to whoever follows. Nobody can hold up the actors, nor another consumer."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import final

from openclaw_actors.backlog import Backlog
from openclaw_actors.changes import Change
from openclaw_actors.counters import Counters
from openclaw_actors.errors import NoThreadError
from openclaw_actors.forking import mend_in_children
from openclaw_actors.log import log

_KEPT = 4096
"""How many of the latest changes can be asked for again."""

_WAITING = 4096
"""How many changes may wait for a slow consumer before older ones are given up."""


@final
class Feed:
    """Changes on their way to one consumer. `put` is the notifier's, on the thread that publishes; the rest is the
    consumer's, on any one thread.
    """

    def __init__(self, wake: Callable[[], None], missed: Iterable[Change], limit: int = _WAITING) -> None:
        """Take what tells the consumer that there is something to take (it returns at once), and what comes first."""
        self._wake = wake
        self._lock = threading.Lock()
        self._backlog = Backlog(limit)
        self._lags = False
        self.is_left = False
        """Whether the consumer is gone."""
        self.is_over = False
        """Whether nothing will be put any more. Who looks at it before the take that finds nothing has had all."""
        for change in missed:
            self._backlog.add(change)
        mend_in_children(self)

    def after_fork(self) -> None:
        """Take a lock that nobody holds, in a forked child."""
        self._lock = threading.Lock()

    def put(self, changes: tuple[Change, ...]) -> int:
        """Add changes and wake the consumer; return how many older ones were given up."""
        if self.is_left:
            return 0
        with self._lock:
            given_up = sum(self._backlog.add(change) for change in changes)
            begins_to_lag = given_up > 0 and not self._lags
            self._lags = self._lags or begins_to_lag
        if begins_to_lag:
            log.warning("a consumer of changes is slow: it is told what to read again")
        self._wake()
        return given_up

    def end(self) -> None:
        """Say that nothing will be put any more, and wake the consumer."""
        self.is_over = True
        self._wake()

    def take(self) -> Change | None:
        """Return the next change; None when there is none at the moment."""
        with self._lock:
            change = self._backlog.take()
            if not self._backlog:
                self._lags = False  # it has caught up: should it lag again, that is worth another line
        return change


@final
class _Subscriber:
    """A callback with a thread of its own: one that blocks keeps no other from its changes."""

    def __init__(self, callback: Callable[[Change], None]) -> None:
        self._callback = callback
        self._there = threading.Event()
        self.feed = Feed(self._there.set, ())
        self._ending = False
        self._gone = False
        self._thread: threading.Thread | None = None

    def start(self, number: int) -> None:
        """Start calling.

        Raises:
            NoThreadError: The system starts no thread now; it may be tried again.
        """
        self._thread = threading.Thread(target=self._run, name=f"openclaw-notifier-{number}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None
            raise NoThreadError("the system starts no thread for a subscriber now") from None

    @property
    def needs_thread(self) -> bool:
        """Whether nobody would call, though somebody should: it was never started, or its thread ended by itself."""
        return not self._ending and (self._thread is None or not self._thread.is_alive())

    def drop(self) -> None:
        """End without another call, but for the one that may be under way."""
        self._gone = self._ending = True
        self._there.set()

    def end(self) -> None:
        """End when everything that was put has been delivered; returns at once."""
        self._ending = True
        self._there.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; return whether it came. On its own thread it doesn't wait."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(max(0.0, timeout_s))
        return not thread.is_alive()

    @property
    def is_current(self) -> bool:
        """Whether the caller is this subscriber's callback."""
        return self._thread is threading.current_thread()

    def _run(self) -> None:
        is_over = False
        while not is_over:
            try:
                self._there.wait()
                self._there.clear()
                is_over = self._ending  # before the last look: what was put until then is delivered
                self._deliver()
            # raised in this thread from elsewhere, between two calls: what waits is delivered all the same
            except BaseException as error:
                log.bind(error=type(error).__name__).warning("the thread of a subscriber goes on")
                is_over = False
                self._there.set()

    def _deliver(self) -> None:
        while not self._gone and (change := self.feed.take()) is not None:
            try:
                self._callback(change)
            # others' code: with SystemExit or a CancelledError, too, the thread would end and nobody would know
            except BaseException as error:
                log.bind(error=type(error).__name__, sequence=change.sequence).warning(
                    "a subscriber raised; it stays subscribed"
                )


@final
class Notifier:
    """Hands changes to consumers in the order in which they were published. Any thread may subscribe and follow; the
    WarmerActor's posts.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._lock = threading.Lock()
        self._latest = Backlog(_KEPT)
        self._feeds: tuple[Feed, ...] = ()
        self._subscribers: tuple[_Subscriber, ...] = ()
        self._number = 0
        self._started = False
        self._stopped = False
        self._pid: int | None = None
        self.sequence = 0
        """The number of the latest change that was posted; 0 before the first. Read it without a lock."""
        mend_in_children(self)

    def after_fork(self) -> None:
        """Take a lock that nobody holds, in a forked child, and let who follows there find the end."""
        self._lock = threading.Lock()
        if self._pid is not None:
            for feed in self._feeds:
                feed.is_over = True

    def adopt(self) -> None:
        """Note that this process delivers from now on: in a child that it forks nothing comes, and nothing waits for a
        lock that some thread held at the fork.
        """
        self._pid = os.getpid()

    def start(self) -> None:
        """Start calling those who subscribed already.

        Raises:
            NoThreadError: The system starts no thread now; it may be tried again.
        """
        with self._lock:
            self._started = True
            for subscriber in self._subscribers:
                if subscriber.needs_thread and not self._stopped:
                    self._start(subscriber)

    def revive(self) -> None:
        """Start again what ended by itself; returns at once, and does so at the next call if it can't now."""
        if any(subscriber.needs_thread for subscriber in self._subscribers):
            with contextlib.suppress(NoThreadError):
                self.start()

    def stop(self, timeout_s: float) -> bool:
        """Let what was posted be delivered and end the threads; return whether they ended in time.

        One that didn't is not called again: what still waits for it is dropped.
        """
        until = time.monotonic() + timeout_s
        with self._lock:
            self._stopped = True
            # they stay known: one of them may be what stops everything
            subscribers, feeds, self._feeds = self._subscribers, self._feeds, ()
        for feed in feeds:
            feed.end()
        for subscriber in subscribers:
            subscriber.end()
        late = [subscriber for subscriber in subscribers if not subscriber.join(until - time.monotonic())]
        for subscriber in late:
            subscriber.drop()
        return not late

    def post(self, changes: tuple[Change, ...]) -> None:
        """Have changes delivered; returns at once."""
        with self._lock:
            for change in changes:
                self._latest.add(change)
                self.sequence = change.sequence
            self._forget_who_left()
            given_up = sum([feed.put(changes) for feed in self._feeds])
        self._counters.changes_missed += given_up

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` with each change from now on, on a thread of its own, and return what ends that.

        Whatever it raises is logged and survived. In a forked child it is never called.

        Raises:
            NoThreadError: The system starts no thread now; nobody is subscribed then.
        """
        if self._is_of_another_process():
            return lambda: None
        subscriber = _Subscriber(callback)
        with self._lock:
            if self._stopped:
                return lambda: None
            if self._started:
                self._start(subscriber)
            self._subscribers = (*self._subscribers, subscriber)
            self._feeds = (*self._feeds, subscriber.feed)

        def unsubscribe() -> None:
            if self._is_of_another_process():
                return  # its thread is the parent's
            subscriber.feed.is_left = True
            with self._lock:
                self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)
                self._forget_who_left()
            subscriber.drop()

        return unsubscribe

    def recent(self) -> tuple[Change, ...]:
        """Return the latest changes as far as they are kept, oldest first; none in a forked child."""
        if self._is_of_another_process():
            return ()
        with self._lock:
            return tuple(self._latest.after(0))

    def follow(self, wake: Callable[[], None], *, since: int | None = None) -> tuple[Feed, Callable[[], None]]:
        """Return a feed of each change from now on, and what ends it; after a stop, and in a forked child, one that is
        over.

        Args:
            wake: Called whenever there is something to take, on the thread that publishes, and when the feed is over;
                it must return at once.
            since: A sequence number: the changes after it come first, as far as they are kept; where some aren't, the
                agent's next change says so.
        """
        if self._is_of_another_process():
            feed = Feed(wake, ())
            feed.is_over = True
            return feed, lambda: None
        with self._lock:
            feed = Feed(wake, () if since is None else self._latest.after(since))
            feed.is_over = self._stopped
            self._forget_who_left()
            if not self._stopped:
                self._feeds = (*self._feeds, feed)

        def leave() -> None:
            feed.is_left = True
            # it never waits: garbage collection calls it too, maybe on the very thread that holds the lock; then the
            # next change, or the next follower, takes the feed away
            if self._lock.acquire(blocking=False):
                try:
                    self._forget_who_left()
                finally:
                    self._lock.release()

        return feed, leave

    def is_calling(self) -> bool:
        """Tell whether the caller is a subscriber's callback."""
        return any(subscriber.is_current for subscriber in self._subscribers)

    def _is_of_another_process(self) -> bool:
        return self._pid is not None and self._pid != os.getpid()

    def _forget_who_left(self) -> None:
        if any(feed.is_left for feed in self._feeds):
            self._feeds = tuple(feed for feed in self._feeds if not feed.is_left)

    def _start(self, subscriber: _Subscriber) -> None:
        self._number += 1
        subscriber.start(self._number)
