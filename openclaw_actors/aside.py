"""Handing things aside: to code that may block, from threads that may not."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, final

from openclaw_actors.forking import mend_in_children
from openclaw_actors.log import log

T = TypeVar("T")

_WAITING = 1024
"""How much may wait; the oldest is given up then."""


@final
class Aside(Generic[T]):
    """Calls a callback with each thing, in order, on a daemon thread that lives only while there is any.

    So whoever never puts anything has no thread, and nothing has to be ended. What the callback raises is logged and
    survived.
    """

    def __init__(self, callback: Callable[[T], None], name: str) -> None:
        self._callback = callback
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[T] = deque(maxlen=_WAITING)
        self._thread: threading.Thread | None = None
        mend_in_children(self)

    def after_fork(self) -> None:
        """Begin anew in a forked child: what waits is the parent's."""
        self._lock = threading.Lock()
        self._waiting.clear()
        self._thread = None

    def put(self, thing: T) -> None:
        """Have the callback called with a thing; from any thread, returns at once and never raises."""
        with self._lock:
            self._waiting.append(thing)
            if self._thread is not None and self._thread.is_alive():
                return
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the system starts no thread now: it goes with the next one
            self._thread = thread

    def wait(self, timeout_s: float) -> None:
        """Wait until nothing waits any more, at most so many seconds."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                thing = self._waiting.popleft()
            try:
                self._callback(thing)
            # others' code: with a SystemExit, too, the thread would end, and what waits would wait for the next put
            except BaseException as error:
                log.bind(error=type(error).__name__).warning(
                    "what things are handed to raised; it is handed the next one"
                )
