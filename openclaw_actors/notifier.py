"""The notifier: calls subscribers on a thread of its own, so that none of them can hold up the actors."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import final

from openclaw_actors.changes import Change
from openclaw_actors.log import log

_KEPT = 4096
"""How many of the latest changes can be asked for again."""

_WAITING = 65_536
"""How many publications may wait for a slow subscriber before further ones are dropped."""


@final
class Notifier:
    """Hands changes to subscribers in the order in which they were published. Any thread may subscribe and post."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Change, ...] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._subscribers: tuple[Callable[[Change], None], ...] = ()
        self.dropped = 0
        """How many changes were not delivered, because too many waited."""
        self._recent: deque[Change] = deque(maxlen=_KEPT)
        self.thread: threading.Thread | None = None
        """What calls the subscribers, once it is started."""

    def start(self) -> None:
        """Start the notifier's thread."""
        self.thread = threading.Thread(target=self._run, name="openclaw-notifier", daemon=True)
        self.thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Let what was posted be delivered and end the thread; return whether it ended in time."""
        thread = self.thread
        if thread is None:
            return True
        self._queue.put(None)
        if thread is not threading.current_thread():
            thread.join(max(0.0, timeout_s))
        return not thread.is_alive()

    def post(self, changes: tuple[Change, ...]) -> None:
        """Have changes delivered; returns at once. When far too many wait, further ones are dropped and counted."""
        if self._queue.qsize() >= _WAITING:
            if not self.dropped:
                log.warning("a subscriber is so slow that changes are dropped; read snapshots again")
            self.dropped += len(changes)
            return
        self._queue.put(changes)

    def subscribe(self, callback: Callable[[Change], None], *, since: int | None = None) -> Callable[[], None]:
        """Call `callback` with each change from now on, and return what ends that.

        Args:
            callback: Called on the notifier's thread. What it raises is logged and survived.
            since: A sequence number: changes after it that are still kept are delivered first, on the caller's thread.
        """
        with self._lock:
            missed = [change for change in self._recent if change.sequence > since] if since is not None else []
            for change in missed:
                self._call(callback, change)
            self._subscribers = (*self._subscribers, callback)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(one for one in self._subscribers if one is not callback)

        return unsubscribe

    def _run(self) -> None:
        while (changes := self._queue.get()) is not None:
            for change in changes:
                with self._lock:
                    self._recent.append(change)
                    subscribers = self._subscribers
                for callback in subscribers:
                    self._call(callback, change)

    def _call(self, callback: Callable[[Change], None], change: Change) -> None:
        try:
            callback(change)
        except Exception as error:  # a boundary that runs others' code
            log.bind(error=type(error).__name__, sequence=change.sequence).warning(
                "a subscriber raised; it stays subscribed"
            )
