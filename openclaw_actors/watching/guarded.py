"""The seam to the sink: somebody else's code, called on threads that must not die."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from openclaw_actors.log import log
from openclaw_actors.watching.protocol import WatchSink

_T = TypeVar("_T")


class GuardedSink:
    """A sink that never raises, whatever the one behind it does; says each reason for degradation when it begins and
    when it is over. Thread-safe.
    """

    def __init__(self, sink: WatchSink) -> None:
        self._sink = sink
        # held while the sink hears of reasons, so that it hears of beginning and end in that order; a sink that changes
        # its watcher meanwhile comes back on the same thread
        self._lock = threading.RLock()
        self._said: dict[str, str] = {}

    def touched(self, paths: Iterable[str]) -> None:
        """Passes touched paths on, in a stable order; nothing is said about no paths."""
        told = tuple(sorted(paths))
        if told:
            self._call("touched", self._sink.touched, told)

    def rescan(self, reason: str) -> None:
        """Passes the wish for a full look on."""
        log.bind(reason=reason).warning("file events may have been lost: everything is looked at again")
        self._call("rescan", self._sink.rescan, reason)

    def polled_for(self, reasons: Callable[[], Mapping[str, str]]) -> None:
        """Says what is new or over among the reasons for polling.

        Args:
            reasons: Returns those that there are now, each with the text for people. It is called under the lock of
                this sink: what two threads find out one after the other is never told the other way round.
        """
        with self._lock:
            now = reasons()
            for reason in sorted(self._said.keys() - now.keys()):
                text = self._said.pop(reason)
                log.bind(reason=text).info("paths that were polled are watched natively again")
                self._call("recovered", self._sink.recovered, text)
            for reason in sorted(now.keys() - self._said.keys()):
                text = self._said[reason] = now[reason]
                log.bind(reason=text).warning("native file watching is not possible for some paths: they are polled")
                self._call("degraded", self._sink.degraded, text)

    def _call(self, name: str, call: Callable[[_T], None], argument: _T) -> None:
        try:
            call(argument)
        except Exception as error:
            # The type only: an exception's text may carry what its raiser was reading.
            log.bind(call=name, error=type(error).__name__).error("a watch sink raised: survived, the hint is lost")
